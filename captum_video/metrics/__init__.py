"""Metrics: whether a map names the evidence that the model used."""

from captum_video.metrics.flow_agreement import FlowAgreement, flow_agreement
from captum_video.metrics.insertion_deletion import Deletion, Insertion, deletion, insertion

__all__ = ["Deletion", "FlowAgreement", "Insertion", "deletion", "flow_agreement", "insertion"]
