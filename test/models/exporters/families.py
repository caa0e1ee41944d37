"""The model families of test/models/families: tiny configurations of transformers' models.

A family says how its model is built, what goes in (a kind and dims, of which
those with a name are dynamic), what comes out, and two shapes: the one it is
traced with and another.
"""

import dataclasses
from typing import Callable

import numpy as np
import torch
import transformers as hf
from torch import nn

import squeezeformer

VOCABULARY, POSITIONS, HIDDEN, HEADS, KV_HEADS, FFN, LAYERS = 50, 32, 32, 4, 2, 48, 2
HEAD = HIDDEN // HEADS

SIZES = dict(vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
             intermediate_size=FFN)
TEXT = dict(SIZES, max_position_embeddings=POSITIONS, pad_token_id=0)
DECODER = dict(TEXT, bos_token_id=1, eos_token_id=2, use_cache=False)
IMAGE = dict(image_size=16, patch_size=4, num_channels=3)


@dataclasses.dataclass
class Input:
    kind: str  # ids, types, positions (after sizes["past"]), mask (of padding at the end), or floats
    dims: tuple

    def dynamic(self):
        return {i: d for i, d in enumerate(self.dims) if isinstance(d, str)}

    def draw(self, sizes, generator):
        shape = [sizes[d] if isinstance(d, str) else d for d in self.dims]
        if self.kind == "floats":
            return generator.standard_normal(shape).astype(np.float32)
        if self.kind == "ids":  # without 0, which pads, and the last, which ends a text
            return generator.integers(3, VOCABULARY - 1, shape)
        if self.kind == "types":
            return generator.integers(0, 2, shape)
        if self.kind == "positions":
            return np.tile(np.arange(shape[1]) + sizes["past"], (shape[0], 1))
        mask = np.ones(shape, np.int64)
        for row in range(1, shape[0]):
            mask[row, shape[1] - row * shape[1] // (2 * shape[0]) :] = 0
        return mask


@dataclasses.dataclass
class Family:
    build: Callable[[str], nn.Module]  # of the attention's implementation, "eager" or "sdpa"
    inputs: dict[str, Input]
    outputs: dict[str, tuple]  # the dims that have names
    shapes: tuple[dict, dict]
    # What an exporter cannot do, and why: it is left out.
    impossible: dict[str, str] = dataclasses.field(default_factory=dict)
    # By exporter, where it cannot take its default (eager for TorchScript, sdpa for dynamo).
    attention: dict[str, str] = dataclasses.field(default_factory=dict)


class Wrapped(nn.Module):
    """A model of transformers with named inputs in order and plain tensors as results."""

    def __init__(self, model, names, results, **options):
        super().__init__()
        self.model, self.names, self.results, self.options = model, names, results, options

    def forward(self, *arguments):
        output = self.model(**dict(zip(self.names, arguments)), **self.options, return_dict=True)
        tensors = tuple(output[name] for name in self.results)
        return tensors if len(tensors) > 1 else tensors[0]


class WithPast(nn.Module):
    """A decoder that takes and gives keys and values, two tensors a layer."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = hf.DynamicCache(config=self.model.config)
        for layer in range(LAYERS):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                            past_key_values=cache, use_cache=True, return_dict=True)
        present = [t for layer in output.past_key_values.layers for t in (layer.keys, layer.values)]
        return (output.logits, *present)


def ids(*dims):
    return Input("ids", dims)


def mask(*dims):
    return Input("mask", dims)


def floats(*dims):
    return Input("floats", dims)


TOKENS = dict(input_ids=ids("batch", "sequence"), attention_mask=mask("batch", "sequence"))
TOKENS_SHAPES = (dict(batch=2, sequence=7), dict(batch=3, sequence=12))
IMAGE_SHAPES = (dict(batch=2), dict(batch=3))


def family(model, config, inputs, results, shapes, options=None, part=None, **rest):
    """`part` of transformers' `model`, if not all of it. A config is a class and its options."""

    def build(attention):
        kind, sizes = config
        made = model(kind(**sizes, attn_implementation=attention))
        return Wrapped(part(made) if part else made, list(inputs), list(results), **(options or {}))

    return Family(build, inputs, results, shapes, **rest)


def encoder(model, config, sizes=(), types=False, **rest):
    inputs = dict(TOKENS, **(dict(token_type_ids=Input("types", ("batch", "sequence"))) if types else {}))
    return family(model, (config, dict(TEXT, **dict(sizes))), inputs,
                  dict(last_hidden_state=("batch", "sequence")), TOKENS_SHAPES, **rest)


def decoder(model, config, sizes=(), **rest):
    return family(model, (config, dict(DECODER, **dict(sizes))), TOKENS, dict(logits=("batch", "sequence")),
                  TOKENS_SHAPES, **rest)


def decoder_with_past(model, config, sizes, kv_heads):
    past, present = {}, {}
    for layer in range(LAYERS):
        for kind in ("key", "value"):
            past[f"past.{layer}.{kind}"] = floats("batch", kv_heads, "past", HEAD)
            present[f"present.{layer}.{kind}"] = {0: "batch", 2: "total"}
    inputs = dict(input_ids=ids("batch", "sequence"), attention_mask=mask("batch", "total"),
                  position_ids=Input("positions", ("batch", "sequence")), **past)
    outputs = dict(logits=("batch", "sequence"), **present)
    build = lambda attention: WithPast(model(config(**dict(DECODER, **sizes), attn_implementation=attention)))
    return Family(build, inputs, outputs,
                  (dict(batch=2, sequence=3, past=4, total=7), dict(batch=3, sequence=1, past=9, total=10)))


def vision(model, config, sizes=(), dims=("batch", 3, 16, 16), shapes=IMAGE_SHAPES, **rest):
    defaults = dict({k: v for k, v in SIZES.items() if k != "vocab_size"}, **IMAGE)
    return family(model, (config, dict(defaults, **dict(sizes))), dict(pixel_values=floats(*dims)),
                  dict(last_hidden_state=("batch",)), shapes, **rest)


# For some, so that each exporter writes both.
SWAPPED = dict(torchscript="sdpa", dynamo="eager")
GROUPED = dict(num_key_value_heads=KV_HEADS, head_dim=HEAD)
T5 = dict(vocab_size=VOCABULARY, d_model=HIDDEN, d_kv=HEAD, d_ff=FFN, num_layers=LAYERS, num_heads=HEADS,
          relative_attention_num_buckets=8, relative_attention_max_distance=12, decoder_start_token_id=0)
BART = dict(vocab_size=VOCABULARY, d_model=HIDDEN, encoder_layers=1, decoder_layers=1, encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS, encoder_ffn_dim=FFN, decoder_ffn_dim=FFN,
            max_position_embeddings=POSITIONS)
WHISPER = dict(vocab_size=VOCABULARY, num_mel_bins=8, d_model=HIDDEN, encoder_layers=LAYERS, decoder_layers=1,
               encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=FFN,
               decoder_ffn_dim=FFN, max_source_positions=12, max_target_positions=POSITIONS, pad_token_id=0,
               bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[], begin_suppress_tokens=[])
SPEECH = dict({k: v for k, v in SIZES.items() if k != "vocab_size"}, vocab_size=VOCABULARY, conv_dim=(16, 16),
              conv_kernel=(7, 3), conv_stride=(4, 2), num_feat_extract_layers=2, num_conv_pos_embeddings=6,
              num_conv_pos_embedding_groups=2, mask_time_prob=0.0, layerdrop=0.0, apply_spec_augment=False)
SAMPLES = (dict(batch=2, samples=96), dict(batch=3, samples=143))
CROSS = dict(decoder_input_ids=ids("batch", "target"), encoder_hidden_states=floats("batch", "source", HIDDEN),
             encoder_attention_mask=mask("batch", "source"))
CROSS_SHAPES = (dict(batch=2, target=5, source=7), dict(batch=3, target=8, source=4))


def t5_decoder(attention):
    model = hf.T5ForConditionalGeneration(hf.T5Config(**T5, attn_implementation=attention))
    names = ["input_ids", "encoder_hidden_states", "encoder_attention_mask"]
    return Wrapped(model.decoder, names, ["last_hidden_state"], use_cache=False)


def whisper_decoder(attention):
    model = hf.WhisperModel(hf.WhisperConfig(**WHISPER, attn_implementation=attention))
    return Wrapped(model.decoder, ["input_ids", "attention_mask", "encoder_hidden_states"],
                   ["last_hidden_state"], use_cache=False)


class EveryExpert(nn.Module):
    """Mixtral's experts one after the other, each over the tokens that chose it, as transformers 4 had it.

    (Those of transformers 5 that are not gathered loop over the experts that were
    chosen, a number that a trace would fix.)
    """

    def __init__(self, experts):
        super().__init__()
        self.experts = experts

    def forward(self, tokens, chosen, weights):
        e, result = self.experts, torch.zeros_like(tokens)
        chosen = nn.functional.one_hot(chosen, num_classes=e.num_experts).permute(2, 1, 0)
        for expert in range(e.num_experts):
            place, token = torch.where(chosen[expert])
            gate, up = nn.functional.linear(tokens[token], e.gate_up_proj[expert]).chunk(2, dim=-1)
            part = nn.functional.linear(e.act_fn(gate) * up, e.down_proj[expert])
            result.index_add_(0, token, part * weights[token, place, None])
        return result


def every_expert(model):
    for layer in model.model.layers:
        layer.mlp.experts = EveryExpert(layer.mlp.experts)
    return model


MIXTRAL = dict(GROUPED, num_local_experts=4, num_experts_per_tok=2, intermediate_size=16, num_hidden_layers=1)

FAMILIES = {
    "bert": encoder(hf.BertModel, hf.BertConfig, types=True),
    "roberta": encoder(hf.RobertaModel, hf.RobertaConfig),
    "distilbert": encoder(hf.DistilBertModel, hf.DistilBertConfig,
                          dict(dim=HIDDEN, hidden_dim=FFN, n_layers=LAYERS, n_heads=HEADS)),
    "electra": encoder(hf.ElectraModel, hf.ElectraConfig, dict(embedding_size=16), attention=SWAPPED),
    "albert": encoder(hf.AlbertModel, hf.AlbertConfig, dict(embedding_size=16)),
    # These two have no sdpa.
    "mpnet": encoder(hf.MPNetModel, hf.MPNetConfig, attention=dict(dynamo="eager")),
    "deberta-v2": encoder(hf.DebertaV2Model, hf.DebertaV2Config,
                          dict(relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=4,
                               max_relative_positions=POSITIONS, norm_rel_ebd="layer_norm", share_att_key=True,
                               position_biased_input=False, conv_kernel_size=3, conv_act="gelu",
                               hidden_size=16, num_attention_heads=2), attention=dict(dynamo="eager")),
    "modernbert": encoder(hf.ModernBertModel, hf.ModernBertConfig,
                          dict(num_hidden_layers=3, global_attn_every_n_layers=2, local_attention=8,
                               cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2)),
    "gpt2": decoder(hf.GPT2LMHeadModel, hf.GPT2Config,
                    dict(n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=POSITIONS, n_inner=FFN)),
    "opt": decoder(hf.OPTForCausalLM, hf.OPTConfig, dict(ffn_dim=FFN, word_embed_proj_dim=HIDDEN)),
    "llama": decoder(hf.LlamaForCausalLM, hf.LlamaConfig, GROUPED),
    "mistral": decoder(hf.MistralForCausalLM, hf.MistralConfig, dict(GROUPED, sliding_window=5), attention=SWAPPED),
    "qwen3": decoder(hf.Qwen3ForCausalLM, hf.Qwen3Config, GROUPED, attention=SWAPPED),
    "gemma2": decoder(hf.Gemma2ForCausalLM, hf.Gemma2Config,
                      dict(GROUPED, sliding_window=5, query_pre_attn_scalar=HEAD),
                      # sdpa knows no soft cap and would leave it out.
                      attention=dict(dynamo="eager")),
    "phi": decoder(hf.PhiForCausalLM, hf.PhiConfig, dict(partial_rotary_factor=0.5)),
    "gpt2-past": decoder_with_past(hf.GPT2LMHeadModel, hf.GPT2Config,
                                   dict(n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=POSITIONS,
                                        n_inner=FFN), HEADS),
    "llama-past": decoder_with_past(hf.LlamaForCausalLM, hf.LlamaConfig, GROUPED, KV_HEADS),
    "t5-encoder": family(hf.T5EncoderModel, (hf.T5Config, T5), TOKENS,
                         dict(last_hidden_state=("batch", "sequence")), TOKENS_SHAPES),
    "t5-decoder": Family(t5_decoder, CROSS, dict(last_hidden_state=("batch", "target")), CROSS_SHAPES),
    "bart": family(hf.BartModel, (hf.BartConfig, BART),
                   dict(TOKENS, decoder_input_ids=ids("batch", "target")),
                   dict(last_hidden_state=("batch", "target")),
                   (dict(batch=2, sequence=7, target=5), dict(batch=3, sequence=6, target=9)),
                   options=dict(use_cache=False)),
    "vit": vision(hf.ViTModel, hf.ViTConfig),
    "vit-sizes": vision(hf.ViTModel, hf.ViTConfig, dims=("batch", 3, "height", "width"),
                        shapes=(dict(batch=2, height=20, width=16), dict(batch=1, height=12, width=24)),
                        options=dict(interpolate_pos_encoding=True)),
    "deit": vision(hf.DeiTModel, hf.DeiTConfig),
    "swin": family(hf.SwinModel, (hf.SwinConfig, dict(IMAGE, patch_size=2, embed_dim=8, depths=[2, 1],
                                                      num_heads=[1, 2], window_size=4, mlp_ratio=1.5)),
                   dict(pixel_values=floats("batch", 3, 16, 16)), dict(last_hidden_state=("batch",)), IMAGE_SHAPES),
    "clip-text": encoder(hf.CLIPTextModel, hf.CLIPTextConfig,
                         dict(bos_token_id=1, eos_token_id=VOCABULARY - 1, projection_dim=16)),
    "clip-vision": vision(hf.CLIPVisionModel, hf.CLIPVisionConfig, dict(projection_dim=16)),
    "whisper-encoder": family(hf.WhisperModel, (hf.WhisperConfig, WHISPER),
                              dict(input_features=floats("batch", 8, 24)),
                              dict(last_hidden_state=("batch",)), IMAGE_SHAPES, part=lambda model: model.encoder),
    "whisper-decoder": Family(whisper_decoder, dict(decoder_input_ids=ids("batch", "target"),
                                                    attention_mask=mask("batch", "target"),
                                                    encoder_hidden_states=floats("batch", "source", HIDDEN)),
                              dict(last_hidden_state=("batch", "target")), CROSS_SHAPES),
    "wav2vec2": family(hf.Wav2Vec2Model, (hf.Wav2Vec2Config, dict(SPEECH, feat_extract_norm="layer",
                                                                 do_stable_layer_norm=True)),
                       dict(input_values=floats("batch", "samples"), attention_mask=mask("batch", "samples")),
                       dict(last_hidden_state=("batch", "frames")), SAMPLES),
    "hubert": family(hf.HubertModel, (hf.HubertConfig, SPEECH), dict(input_values=floats("batch", "samples")),
                     dict(last_hidden_state=("batch", "frames")), SAMPLES),
    "conformer": family(hf.Wav2Vec2ConformerModel,
                        (hf.Wav2Vec2ConformerConfig, dict(SPEECH, position_embeddings_type="relative",
                                                          conv_depthwise_kernel_size=5, num_hidden_layers=1,
                                                          max_source_positions=40)),
                        dict(input_values=floats("batch", "samples")),
                        dict(last_hidden_state=("batch", "frames")), SAMPLES),
    "squeezeformer": Family(lambda attention: squeezeformer.Squeezeformer(sdpa=attention == "sdpa"),
                            dict(features=floats("batch", "frames", squeezeformer.MELS),
                                 mask=mask("batch", "frames")),
                            dict(output=("batch", "steps")), (dict(batch=2, frames=40), dict(batch=3, frames=59))),
    "mixtral": decoder(hf.MixtralForCausalLM, hf.MixtralConfig, MIXTRAL, part=every_expert),
    "mixtral-gathered": decoder(hf.MixtralForCausalLM, hf.MixtralConfig,
                                dict(MIXTRAL, experts_implementation="batched_mm")),
}
