"""Action videos: decoding, the KTH set, and a renderer of sets in the same file layout."""
