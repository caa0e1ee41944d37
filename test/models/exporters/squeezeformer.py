"""Squeezeformer's encoder, after its paper's description (Kim et al. 2022, arXiv 2206.00888).

Section 3.1: the Temporal U-Net, which halves the frame rate after a block in
the middle and restores it before the last with a skip connection. Section 3.2:
blocks in the order MF-CF (attention, feed-forward, convolution, feed-forward),
post norms only, each input scaled by a learned vector and shift instead of a
pre norm, Swish instead of GLU in the convolution, depthwise separable
subsampling of the input. Attention has the relative positions of Transformer-XL.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

MELS, HIDDEN, HEADS, FFN, KERNEL, BLOCKS, DOWN_AFTER, UP_BEFORE = 8, 16, 2, 24, 5, 3, 1, 2
HEAD = HIDDEN // HEADS


class Scaled(nn.Module):
    """What replaces a pre norm: a learned scale and shift."""

    def __init__(self):
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.ones(HIDDEN)), nn.Parameter(torch.zeros(HIDDEN))

    def forward(self, x):
        return x * self.scale + self.bias


class Attention(nn.Module):
    def __init__(self, sdpa):
        super().__init__()
        self.sdpa = sdpa
        self.q, self.k, self.v, self.out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.position = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.u, self.w = nn.Parameter(torch.zeros(HEADS, HEAD)), nn.Parameter(torch.zeros(HEADS, HEAD))

    def shifted(self, scores):
        """[b, h, t, 2t-1], by relative position from the largest down, to [b, h, t, t] by key."""
        batch, heads, time, positions = scores.shape
        scores = F.pad(scores, (1, 0)).view(batch, heads, positions + 1, time)
        return scores[:, :, 1:].reshape(batch, heads, time, positions)[..., :time]

    def forward(self, x, positions, hidden):
        heads = lambda t: t.view(x.shape[0], -1, HEADS, HEAD)
        q, k, v = heads(self.q(x)), heads(self.k(x)).transpose(1, 2), heads(self.v(x)).transpose(1, 2)
        p = self.position(positions).view(1, -1, HEADS, HEAD).transpose(1, 2)
        by_position = self.shifted((q + self.w).transpose(1, 2) @ p.transpose(-1, -2)) / math.sqrt(HEAD)
        by_position = by_position.masked_fill(hidden, -1e9)
        if self.sdpa:
            y = F.scaled_dot_product_attention((q + self.u).transpose(1, 2), k, v, attn_mask=by_position)
        else:
            scores = (q + self.u).transpose(1, 2) @ k.transpose(-1, -2) / math.sqrt(HEAD) + by_position
            y = F.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).reshape(x.shape[0], -1, HIDDEN))


class Convolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Conv1d(HIDDEN, HIDDEN, 1), nn.Conv1d(HIDDEN, HIDDEN, 1)
        self.depthwise = nn.Conv1d(HIDDEN, HIDDEN, KERNEL, padding=KERNEL // 2, groups=HIDDEN)
        self.norm = nn.BatchNorm1d(HIDDEN)

    def forward(self, x, hidden):
        x = F.silu(self.up(x.transpose(1, 2))).masked_fill(hidden, 0.0)
        return self.down(F.silu(self.norm(self.depthwise(x)))).transpose(1, 2)


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(HIDDEN, FFN), nn.Linear(FFN, HIDDEN)

    def forward(self, x):
        return self.down(F.silu(self.up(x)))


class Block(nn.Module):
    def __init__(self, sdpa):
        super().__init__()
        self.attention, self.convolution = Attention(sdpa), Convolution()
        self.feed = nn.ModuleList(FeedForward() for _ in range(2))
        self.scaled = nn.ModuleList(Scaled() for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(4))

    def forward(self, x, positions, mask):
        x = self.norms[0](x + self.attention(self.scaled[0](x), positions, ~mask[:, None, None, :]))
        x = self.norms[1](x + self.feed[0](self.scaled[1](x)))
        x = self.norms[2](x + self.convolution(self.scaled[2](x), ~mask[:, None, :]))
        return self.norms[3](x + self.feed[1](self.scaled[3](x)))


class Squeezeformer(nn.Module):
    def __init__(self, sdpa=False):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4), nn.Conv2d(4, 4, 1))
        self.enter = nn.Linear(4 * (MELS // 4), HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)
        self.blocks = nn.ModuleList(Block(sdpa) for _ in range(BLOCKS))
        self.down = nn.Sequential(nn.Conv1d(HIDDEN, HIDDEN, 3, stride=2, padding=1, groups=HIDDEN),
                                  nn.Conv1d(HIDDEN, HIDDEN, 1))
        self.up = nn.Linear(HIDDEN, HIDDEN)

    def positions(self, x):
        """Sines of the relative positions t-1 ... 1-t."""
        time = x.shape[1]
        distance = torch.arange(time - 1, -time, -1.0, dtype=x.dtype)
        frequency = torch.exp(torch.arange(0, HIDDEN, 2.0, dtype=x.dtype) * (-math.log(10000.0) / HIDDEN))
        angles = distance[:, None] * frequency[None]
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[None]

    def forward(self, features, mask):
        x = F.relu(self.second(F.relu(self.first(features[:, None]))))
        x = self.norm(self.enter(x.transpose(1, 2).flatten(2)))
        mask = mask[:, ::4].to(torch.bool)
        full = positions = self.positions(x)
        for i, block in enumerate(self.blocks):
            if i == DOWN_AFTER:
                skip, whole = x, mask
                x, mask = self.down(x.transpose(1, 2)).transpose(1, 2), mask[:, ::2]
                positions = self.positions(x)
            if i == UP_BEFORE:
                x = self.up(x.repeat_interleave(2, dim=1)[:, : skip.shape[1]]) + skip
                mask, positions = whole, full
            x = block(x, positions, mask)
        return x
