#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/onnx/families/*.onnx: transformer families as timm, transformers and torch export them, one block each, tiny.

    families_export.py FOLDER [NAME ...]          what the repository has, or some of it
    families_export.py FOLDER sweep [PATTERN]     every family by every operator set its exporter has, and with an open batch

Made with torch 2.15.0 (CPU), timm 1.0.31, transformers 5.23.0 (GroupViT: 5.24.0), onnxscript 0.7.2, onnx 1.23.2. The files in the repository need not
be made again; this is how. NAME.l17 comes from the exporter by tracing (operator set 17), NAME.d18 from the newer one by torch.export;
a sweep has also NAME.l17b, whose batch is a symbolic dimension.

Weights are random. Those that are large are not in the file: `strip` replaces them by their shape, mean and deviation, and
families.py fills them again from a fixed seed. So the graphs are the exporters' own and a file is 5 to 60 KB.
"""
import re
import sys
import warnings

import numpy as np
import onnx
import timm
import torch
import transformers
from onnx import numpy_helper

FEWEST = 256  # elements of a weight that is taken out


class Pick(torch.nn.Module):
    """A model with named inputs whose output is one field."""

    def __init__(self, model, names, field):
        super().__init__()
        self.model, self.names, self.field = model, names, field

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs)))[self.field]


class Embedder(torch.nn.Module):
    """Sentence embedding: mean over the mask, norm 1."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask):
        h = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        m = mask.unsqueeze(-1).expand(h.size()).float()
        return torch.nn.functional.normalize((h * m).sum(1) / torch.clamp(m.sum(1), min=1e-9), dim=1)


class EinsumBlock(torch.nn.Module):
    """Attention by einsum, projections too, as JAX models are ported."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(32)
        for n in ("q", "k", "v"):
            setattr(self, n, torch.nn.Parameter(torch.empty(32, 2, 16)))
        self.o = torch.nn.Parameter(torch.empty(2, 16, 32))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (torch.einsum("bnc,chd->bnhd", h, w) for w in (self.q, self.k, self.v))
        p = (torch.einsum("bqhd,bkhd->bhqk", q, k) * 0.25).softmax(-1)
        return x + torch.einsum("bnhd,hdc->bnc", torch.einsum("bhqk,bkhd->bqhd", p, v), self.o)


class Detector(torch.nn.Module):
    """DETR in small: convolutions, encoder, decoder with queries."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 32, 8, 8)
        self.body = torch.nn.Transformer(32, 2, 1, 1, 64, batch_first=True)
        self.query = torch.nn.Parameter(torch.empty(1, 5, 32))
        self.box = torch.nn.Linear(32, 4)

    def forward(self, image):
        h = self.conv(image).flatten(2).transpose(1, 2)
        return self.box(self.body(h, self.query)).sigmoid()


def image(size=32):
    return torch.randn(1, 3, size, size)


def ids(n=12):
    return torch.randint(3, 60, (1, n))


def mask(n=12):
    return (torch.arange(n) < n - 3).long()[None]


def vision(name, **more):
    size = dict(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=10)
    return lambda: (timm.create_model(name, **{**size, **more}), {"image": image()})


def staged(name, size=32, **more):
    return lambda: (timm.create_model(name, num_classes=10, **more), {"image": image(size)})


def text(model, config, field="last_hidden_state", with_mask=True, **more):
    size = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=64,
                max_position_embeddings=32, pad_token_id=0, use_cache=False)

    def build():
        inputs = {"input_ids": ids(), **({"attention_mask": mask()} if with_mask else {})}
        m = getattr(transformers, model)(getattr(transformers, config)(**{**size, **more}))
        return Pick(m, list(inputs), field), inputs
    return build


def eager(build):
    """Attention in separate operators, whose mask is the least f32."""
    def with_eager():
        model, inputs = build()
        model.model.set_attn_implementation("eager")
        return model, inputs
    return with_eager


def encoder(model, config, field, inputs, **more):
    def build():
        fed = {k: f() for k, f in inputs.items()}
        return Pick(getattr(transformers, model)(getattr(transformers, config)(**more)), list(fed), field), fed
    return build


def whisper():
    size = dict(d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
                encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=64, num_mel_bins=16, max_source_positions=20,
                pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)
    m = transformers.WhisperModel(transformers.WhisperConfig(**size)).encoder
    return Pick(m, ["input_features"], "last_hidden_state"), {"input_features": torch.randn(1, 16, 40)}


def embedder():
    m = transformers.BertModel(transformers.BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=64,
        max_position_embeddings=32), add_pooling_layer=False)
    return Embedder(m), {"input_ids": ids(), "attention_mask": mask()}


PIXELS = {"pixel_values": image}
WAVE = {"input_values": lambda: torch.randn(1, 800)}
SPEECH = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=32,
              conv_dim=(16, 16, 16), conv_stride=(5, 4, 2), conv_kernel=(10, 8, 4), num_feat_extract_layers=3,
              num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, mask_time_prob=0.0)
HF_VISION = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=8)
GQA = dict(num_key_value_heads=1, head_dim=16)
STAGES = dict(depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 32, 32], num_attention_heads=[1, 2, 2, 2])

FAMILIES = {
    "deit_distilled.l17": vision("deit_tiny_distilled_patch16_224"),
    "beit.l17": vision("beit_base_patch16_224"),
    "vit_reg_gap.l17": vision("vit_medium_patch16_reg4_gap_256"),
    "vit_siglip.l17": vision("vit_base_patch16_siglip_224"),
    "vit_relpos.l17": vision("vit_relpos_small_patch16_224"),
    "dinov2_swiglu.l17": vision("vit_giant_patch14_reg4_dinov2", mlp_ratio=4),
    "dinov3.l17": vision("vit_small_patch16_dinov3", patch_size=8),
    "eva02.l17": vision("eva02_tiny_patch14_224"),
    "cait.l17": vision("cait_xxs24_224"),
    "convit.l17": vision("convit_tiny", depth=2, local_up_to_layer=1),
    "efficientformerv2.l17": staged("efficientformerv2_s0", 64, img_size=64, depths=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32)),
    "bert_eager.l17": eager(text("BertModel", "BertConfig")),
    "xcit.l17": vision("xcit_nano_12_p16_224", patch_size=8),
    "swin.l17": staged("swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=16, depths=(2,), num_heads=(2,)),
    "swinv2.l17": staged("swinv2_tiny_window8_256", img_size=32, window_size=4, embed_dim=16, depths=(2,), num_heads=(2,)),
    "levit.l17": staged("levit_128s", img_size=32, embed_dim=(32, 48), depth=(1, 1), num_heads=(2, 3), key_dim=8),
    "twins.l17": staged("twins_svt_small", img_size=32, embed_dims=(16, 32), num_heads=(1, 2), depths=(1, 1), wss=(4, 4),
                        sr_ratios=(4, 2), mlp_ratios=(2, 2)),
    "pvt.l17": staged("pvt_v2_b0", depths=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32), num_heads=(1, 1, 2, 2), mlp_ratios=(2, 2, 2, 2)),
    "sam.l17": staged("samvit_base_patch16", 64, img_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=2, window_size=4,
                      global_attn_indexes=(1,), neck_chans=16),
    "mobilevit.l17": staged("mobilevit_xxs", 64),
    "maxvit.l17": staged("maxvit_rmlp_pico_rw_256", 64, img_size=64, depths=(1, 1), embed_dim=(32, 32), block_type=("M", "M"), stem_width=8),
    "fastvit.l17": staged("fastvit_t8", 64, layers=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32), mlp_ratios=(2, 2, 2, 2)),
    "poolformer.l17": lambda: (timm.models.metaformer.MetaFormer(
        num_classes=10, depths=(1, 1, 1, 1), dims=(16, 16, 32, 32), token_mixers=timm.models.metaformer.Pooling), {"image": image()}),
    "convnext.l17": staged("convnext_atto", depths=(1, 1, 1, 1), dims=(16, 16, 32, 32)),
    "segformer.l17": encoder("SegformerForSemanticSegmentation", "SegformerConfig", "logits", PIXELS, decoder_hidden_size=16,
                             num_labels=3, **STAGES),
    "clip_vision.l17": encoder("CLIPVisionModelWithProjection", "CLIPVisionConfig", "image_embeds", PIXELS, projection_dim=16,
                               **HF_VISION),
    "clip_text.l17": text("CLIPTextModelWithProjection", "CLIPTextConfig", "text_embeds", projection_dim=16, eos_token_id=2),
    "siglip_vision.l17": encoder("SiglipVisionModel", "SiglipVisionConfig", "pooler_output", PIXELS, **HF_VISION),
    "whisper.l17": whisper,
    "wav2vec2.l17": encoder("Wav2Vec2Model", "Wav2Vec2Config", "last_hidden_state", WAVE, **SPEECH),
    "hubert.l17": encoder("HubertModel", "HubertConfig", "last_hidden_state", WAVE, **SPEECH),
    "sentence.l17": embedder,
    "bert.l17": text("BertModel", "BertConfig"),
    "roberta.l17": text("RobertaModel", "RobertaConfig"),
    "xlm_roberta.l17": text("XLMRobertaModel", "XLMRobertaConfig"),
    "distilbert.l17": text("DistilBertModel", "DistilBertConfig", dim=32, n_layers=1, n_heads=2, hidden_dim=64),
    "albert.l17": text("AlbertModel", "AlbertConfig", embedding_size=16),
    "electra.l17": text("ElectraModel", "ElectraConfig", embedding_size=16),
    "deberta.l17": text("DebertaModel", "DebertaConfig", relative_attention=True, pos_att_type=["c2p", "p2c"],
                        max_relative_positions=16),
    "modernbert.l17": text("ModernBertModel", "ModernBertConfig", bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
                           local_attention=6, global_attn_every_n_layers=2),
    "t5_encoder.l17": text("T5EncoderModel", "T5Config", d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2),
    "mt5_encoder.l17": text("MT5EncoderModel", "MT5Config", d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2),
    "llama.l17": text("LlamaModel", "LlamaConfig", **GQA),
    "qwen3.l17": text("Qwen3Model", "Qwen3Config", **GQA),
    "gemma.l17": text("GemmaModel", "GemmaConfig", **GQA),
    "gpt2.l17": text("GPT2Model", "GPT2Config", n_embd=32, n_layer=1, n_head=2, n_positions=32),
    "einsum.l17": lambda: (EinsumBlock(), {"x": torch.randn(1, 20, 32)}),
    "detr.l17": lambda: (Detector(), {"image": image()}),
    "edgenext.d18": staged("edgenext_xx_small", depths=(1, 1, 1, 1), dims=(8, 16, 16, 32), heads=(2, 2, 2, 2)),
    "groupvit.d18": encoder("GroupViTVisionModel", "GroupViTVisionConfig", "pooler_output", PIXELS, depths=[1, 1], num_group_tokens=[4, 0],
                            num_output_groups=[4, 0], **{**HF_VISION, "num_hidden_layers": 2}),
    "swinv2.d18": staged("swinv2_tiny_window8_256", img_size=32, window_size=4, embed_dim=16, depths=(2,), num_heads=(2,)),
    "dinov3.d18": vision("vit_small_patch16_dinov3", patch_size=8),
    "bert.d18": text("BertModel", "BertConfig"),
    "llama.d18": text("LlamaModel", "LlamaConfig", **GQA),
    "clip_vision.d18": encoder("CLIPVisionModelWithProjection", "CLIPVisionConfig", "image_embeds", PIXELS, projection_dim=16,
                               **HF_VISION),
}


def randomise(model):
    """Weights under which every layer matters: freshly made models have LayerScale 1e-5 and attention that is all but uniform."""
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if not p.is_floating_point() or p.numel() == 0 or "inv_freq" in name or "periods" in name or "logit_scale" in name:
            continue
        if name.endswith("running_var"):
            p.data = 0.5 + torch.rand_like(p)
        elif name in dict(model.named_buffers()) and not name.endswith("running_mean"):
            continue
        elif p.ndim > 1:
            wide = any(k in name for k in ("pos", "token", "relative", "query"))
            p.data = torch.randn_like(p) * (0.5 if wide else p[0].numel() ** -0.5)
        else:
            p.data = torch.randn_like(p) * 0.1 + (0 if "bias" in name or "running_mean" in name else 1)
    return model.eval()


def strip(model):
    """Large random weights become shape, mean and deviation; what exporters say about themselves goes."""
    for node in [*model.graph.node, model.graph]:
        node.doc_string = ""
        if hasattr(node, "metadata_props"):
            del node.metadata_props[:]
    del model.graph.value_info[:], model.metadata_props[:]
    tensors = list(model.graph.initializer)
    tensors += [a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    for t in tensors:
        t.doc_string = ""
        x = numpy_helper.to_array(t)
        if t.data_type != onnx.TensorProto.FLOAT or x.size < FEWEST or not np.isfinite(x).all():
            continue
        mean, deviation = float(x.mean()), float(x.std())
        if deviation == 0 or np.unique(x).size < 0.9 * x.size or abs((((x - mean) / deviation) ** 4).mean() - 3) > 1:
            continue  # a mask, a table of sines
        t.ClearField("raw_data")
        del t.float_data[:]
        t.doc_string = f"random {mean:.6g} {deviation:.6g}"
    return model


def export(name, folder):
    base, how = name.split(".")
    torch.manual_seed(0)
    model, inputs = FAMILIES[name if name in FAMILIES else f"{base}.l17" if f"{base}.l17" in FAMILIES else f"{base}.d18"]()
    model = randomise(model)
    path = f"{folder}/{name}.onnx"
    more = dict(dynamo=True, external_data=False, verbose=False) if how[0] == "d" else dict(dynamo=False)
    if how in ("l11", "l13"):  # scaled_dot_product_attention came with 14
        for m in model.modules():
            if hasattr(getattr(m, "config", None), "_attn_implementation"):
                m.config._attn_implementation = "eager"  # pylint: disable=protected-access
    if how[-1] == "b":
        if how[0] == "d":
            inputs = {k: torch.cat([v, v]) for k, v in inputs.items()}  # one sample would become a constant
            shapes = tuple({0: torch.export.Dim("batch")} for _ in inputs)
            more["dynamic_shapes"] = (shapes,) if isinstance(model, Pick) else shapes  # its arguments are variadic
        else:
            more["dynamic_axes"] = {k: {0: "batch"} for k in [*inputs, "out"]}
    with torch.no_grad():
        torch.onnx.export(model, tuple(inputs.values()), path, input_names=list(inputs), output_names=["out"],
                          opset_version=int(how[1:].rstrip("b")), **more)
    onnx.save(strip(onnx.load(path)), path)


SWEEP = ("l17b", "d20b", "l13", "l11", "d23", "l14b", "l20", "d21", "l14", "d18")


def main():
    warnings.filterwarnings("ignore")
    torch.backends.mha.set_fastpath_enabled(False)
    names = sys.argv[2:] or FAMILIES
    if sys.argv[2:3] == ["sweep"]:
        families = sorted({n.split(".")[0] for n in FAMILIES})
        names = [f"{f}.{how}" for how in SWEEP for f in families if re.search((sys.argv + [""])[3], f"{f}.{how}")]
    for name in names:
        base, how = name.split(".")
        # the tracing exporter cannot take some otherwise, nor anything before operator set 14
        timm.layers.set_fused_attn(how[0] == "d" or (base not in ("dinov3", "eva02") and how not in ("l11", "l13")))
        try:
            export(name, sys.argv[1])
            print(name, "ok", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            print(name, "FAILED", str(e)[:200].replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
