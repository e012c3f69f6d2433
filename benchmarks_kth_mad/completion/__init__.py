"""What a shell completes when Tab is pressed."""
