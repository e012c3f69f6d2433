"""The mode a model runs in while it is explained, and that it is found again afterwards."""

import pytest
import torch
from captum.attr import Saliency
from torch import nn

from captum_video.attr import GradCAM3D
from captum_video.modes import evaluation_mode, recurrent_gradients


class Recurrent(nn.Module):
    """Convolution, then a two-layer GRU with dropout over the frames; notes how it was run."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv3d(2, 3, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.gru = nn.GRU(3, 5, num_layers=2, dropout=0.7, batch_first=True)
        self.seen = []

    def forward(self, clip):
        self.seen.append((self.gru.training, self.gru.dropout, self.dropout.training))
        features = self.dropout(self.body(clip)).mean((3, 4)).mT
        return self.gru(features)[0][:, -1]


@pytest.mark.parametrize("training", [False, True])
def test_recurrent_layers_run_as_in_eval_and_are_put_back(training):
    model = Recurrent().eval()
    clip = torch.rand(2, 2, 4, 5, 5)
    expected = model(clip)
    model.gru.training = training
    with evaluation_mode(model), recurrent_gradients(model):
        torch.testing.assert_close(model(clip), expected)
    assert model.seen[-1] == (True, 0.0, False)
    assert (model.gru.training, model.gru.dropout, model.training) == (training, 0.7, False)


def test_put_back_after_an_exception():
    model = Recurrent().eval()
    with pytest.raises(RuntimeError, match="planned"), recurrent_gradients(model):
        raise RuntimeError("planned")
    assert (model.gru.training, model.gru.dropout) == (False, 0.7)


def test_a_function_has_no_mode():
    with recurrent_gradients(torch.sin), evaluation_mode(torch.sin):
        pass


def test_gradcam_runs_recurrent_layers_so():
    model = Recurrent().train()
    GradCAM3D(model, model.body).attribute(torch.rand(1, 2, 4, 5, 5), target=1)
    assert model.seen == [(True, 0.0, False)]
    assert (model.gru.training, model.gru.dropout, model.dropout.training) == (True, 0.7, True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gradients_through_cudnn_in_eval_mode():
    model, clip = Recurrent().eval(), torch.rand(2, 2, 4, 5, 5)
    expected = Saliency(model).attribute(clip, target=1)
    model, clip = model.cuda(), clip.cuda()
    with pytest.raises(RuntimeError, match="training mode"):
        Saliency(model).attribute(clip, target=1)
    with recurrent_gradients(model):
        found = Saliency(model).attribute(clip, target=1)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-3)
