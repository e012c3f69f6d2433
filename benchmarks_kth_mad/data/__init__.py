"""Action clips: the KTH and the multispectral set, their index, decoding and sampling."""
