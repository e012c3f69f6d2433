"""Study A: what the spectrum that a network is trained on does to its accuracy and its maps.

Bayer, Münch and Arens (ICPR 2022) trained a 3D-ResNet-18 and a PAN on infrared, visible or both
spectra of the same scenes, and claim that training on both gives better networks with more focused
maps. This is their experiment with its errors mended, and their claim as a test.
"""
