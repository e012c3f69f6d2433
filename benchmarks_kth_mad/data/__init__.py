"""Action clips: the KTH and the multispectral set, decoding, and renderers that write their layouts."""
