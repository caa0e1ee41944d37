"""Tiny transformers in plain torch, written the way their originals are.

`sdpa` picks torch's scaled_dot_product_attention over products and softmax
written out, so that each exporter shows what it makes of both.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

VOCABULARY, POSITIONS, HIDDEN, HEADS, KV_HEADS, FFN, LAYERS = 48, 24, 32, 4, 2, 64, 2
HEAD = HIDDEN // HEADS


def split_heads(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, HEAD).transpose(1, 2)


def merge_heads(x):
    return x.transpose(1, 2).contiguous().view(x.shape[0], x.shape[2], HIDDEN)


class EncoderLayer(nn.Module):
    """BERT: attention and feed-forward, each with a residual and a norm after it."""

    def __init__(self, sdpa):
        super().__init__()
        self.sdpa = sdpa
        self.query, self.key, self.value, self.output = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.attention_norm, self.norm = (nn.LayerNorm(HIDDEN, eps=1e-12) for _ in range(2))
        self.up, self.down = nn.Linear(HIDDEN, FFN), nn.Linear(FFN, HIDDEN)

    def forward(self, x, mask):
        q, k, v = (split_heads(f(x), HEADS) for f in (self.query, self.key, self.value))
        if self.sdpa:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(HEAD) + mask
            y = torch.matmul(F.softmax(scores, dim=-1), v)
        x = self.attention_norm(self.output(merge_heads(y)) + x)
        return self.norm(self.down(F.gelu(self.up(x))) + x)


class Encoder(nn.Module):
    def __init__(self, sdpa=False):
        super().__init__()
        self.sdpa = sdpa
        self.words = nn.Embedding(VOCABULARY, HIDDEN)
        self.positions = nn.Embedding(POSITIONS, HIDDEN)
        self.types = nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(EncoderLayer(sdpa) for _ in range(LAYERS))
        self.register_buffer("position_ids", torch.arange(POSITIONS).unsqueeze(0), persistent=False)

    def forward(self, input_ids, attention_mask, token_type_ids):
        x = self.words(input_ids) + self.types(token_type_ids)
        x = self.norm(x + self.positions(self.position_ids[:, : input_ids.shape[1]]))
        mask = attention_mask[:, None, None, :]
        if self.sdpa:
            mask = mask.to(torch.bool).expand(-1, 1, x.shape[1], -1)
        else:
            mask = (1.0 - mask.to(x.dtype)) * torch.finfo(torch.float32).min
        for layer in self.layers:
            x = layer(x, mask)
        return x


class Conv1D(nn.Module):
    """GPT-2's linear layer: the weight is [in, out], the product an addmm of rows."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * 0.15)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.1)

    def forward(self, x):
        shape = x.size()[:-1] + (self.weight.shape[1],)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(shape)


class Gpt2Layer(nn.Module):
    def __init__(self, sdpa):
        super().__init__()
        self.sdpa = sdpa
        self.ln_1, self.ln_2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.c_attn, self.c_proj = Conv1D(3 * HIDDEN, HIDDEN), Conv1D(HIDDEN, HIDDEN)
        self.mlp_fc, self.mlp_proj = Conv1D(FFN, HIDDEN), Conv1D(HIDDEN, FFN)
        causal = torch.tril(torch.ones((POSITIONS, POSITIONS), dtype=torch.bool))
        self.register_buffer("bias", causal.view(1, 1, POSITIONS, POSITIONS), persistent=False)

    def forward(self, x):
        q, k, v = (split_heads(t, HEADS) for t in self.c_attn(self.ln_1(x)).split(HIDDEN, dim=2))
        if self.sdpa:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = torch.matmul(q, k.transpose(-1, -2)) / (HEAD**0.5)
            queries, keys = q.size(-2), k.size(-2)
            seen = self.bias[:, :, keys - queries : keys, :keys]
            lowest = torch.full([], torch.finfo(torch.float32).min, dtype=scores.dtype)
            y = torch.matmul(F.softmax(torch.where(seen, scores, lowest), dim=-1), v)
        x = x + self.c_proj(merge_heads(y))
        h = self.mlp_fc(self.ln_2(x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return x + self.mlp_proj(h)


class Gpt2(nn.Module):
    def __init__(self, sdpa=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(POSITIONS, HIDDEN)
        self.layers = nn.ModuleList(Gpt2Layer(sdpa) for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(HIDDEN)

    def forward(self, input_ids):
        positions = torch.arange(input_ids.shape[1]).unsqueeze(0)
        x = self.wte(input_ids) + self.wpe(positions)
        for layer in self.layers:
            x = layer(x)
        return torch.matmul(self.ln_f(x), self.wte.weight.t())


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(HIDDEN))

    def forward(self, x):
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + 1e-6))


def rotate_half(x):
    return torch.cat((-x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]), dim=-1)


def repeat_kv(x, groups):
    batch, heads, length, size = x.shape
    x = x[:, :, None, :, :].expand(batch, heads, groups, length, size)
    return x.reshape(batch, heads * groups, length, size)


class LlamaLayer(nn.Module):
    def __init__(self, sdpa):
        super().__init__()
        self.sdpa = sdpa
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.input_norm, self.post_norm = RmsNorm(), RmsNorm()
        self.q_proj, self.o_proj = linear(HIDDEN, HIDDEN), linear(HIDDEN, HIDDEN)
        self.k_proj, self.v_proj = (linear(HIDDEN, KV_HEADS * HEAD) for _ in range(2))
        self.gate, self.up, self.down = linear(HIDDEN, FFN), linear(HIDDEN, FFN), linear(FFN, HIDDEN)

    def forward(self, x, cos, sin, mask):
        h = self.input_norm(x)
        q = split_heads(self.q_proj(h), HEADS)
        k, v = (split_heads(f(h), KV_HEADS) for f in (self.k_proj, self.v_proj))
        q = q * cos + rotate_half(q) * sin
        k = k * cos + rotate_half(k) * sin
        k, v = repeat_kv(k, HEADS // KV_HEADS), repeat_kv(v, HEADS // KV_HEADS)
        if self.sdpa:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = torch.matmul(q, k.transpose(2, 3)) * (HEAD**-0.5) + mask
            y = torch.matmul(F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype), v)
        x = x + self.o_proj(merge_heads(y))
        h = self.post_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, sdpa=False):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(LlamaLayer(sdpa) for _ in range(LAYERS))
        self.norm = RmsNorm()
        self.head = nn.Linear(HIDDEN, VOCABULARY, bias=False)
        inverse = 1.0 / (10000 ** (torch.arange(0, HEAD, 2).float() / HEAD))
        self.register_buffer("inv_freq", inverse, persistent=False)

    def forward(self, input_ids, position_ids):
        x = self.embed(input_ids)
        frequencies = self.inv_freq[None, :, None].to(x.dtype) @ position_ids[:, None, :].to(x.dtype)
        angles = frequencies.transpose(1, 2)
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)
        places = torch.arange(input_ids.shape[1])
        mask = torch.zeros(1, dtype=x.dtype).masked_fill(
            places[None, :] > places[:, None], torch.finfo(torch.float32).min
        )
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.head(self.norm(x))
