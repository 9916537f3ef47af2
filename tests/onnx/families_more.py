#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""More transformer families than the repository has graphs of, small and with random weights, exported as families_export.py does.

    families_more.py FOLDER HOW [PATTERN]      HOW: l17 (by tracing, operator set 17), d20 (by torch.export, 20) …; PATTERN: names

families.py runs them: families.py VITQC WORK '' FOLDER. What an exporter cannot take is said and left out.
"""
import re
import sys
import warnings

import timm
import torch
import transformers

import families_export
from families_export import GQA, HF_VISION, PIXELS, SPEECH, WAVE, Pick, encoder, ids, image, mask, text, vision

AUDIO = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
SEQ2SEQ = dict(d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64,
               vocab_size=64, max_position_embeddings=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, use_cache=False)


def sized(name, size=64, **more):
    return lambda: (timm.create_model(name, num_classes=10, **more), {"image": image(size)})


def part(model, config, name, field, inputs, **more):
    """One module of a model, such as its encoder."""
    def build():
        fed = {k: f() for k, f in inputs.items()}
        return Pick(getattr(getattr(transformers, model)(getattr(transformers, config)(**more)), name), list(fed), field), fed
    return build


def sam_decoder():
    sizes = dict(hidden_size=32, image_size=64, patch_size=8)
    encoder_sizes = dict(num_hidden_layers=1, num_attention_heads=2, output_channels=32, global_attn_indexes=[0], window_size=4, mlp_dim=64, num_pos_feats=16)
    decoder_sizes = dict(hidden_size=32, mlp_dim=64, num_hidden_layers=2, num_attention_heads=2, iou_head_hidden_dim=32)
    m = transformers.SamModel(transformers.SamConfig(vision_config={**sizes, **encoder_sizes}, mask_decoder_config=decoder_sizes,
                                                     prompt_encoder_config={**sizes, "mask_input_channels": 8}))
    fed = {"image_embeddings": torch.randn(1, 32, 8, 8), "input_points": torch.rand(1, 1, 2, 2) * 64}
    return Pick(m, list(fed), "pred_masks"), fed


MORE = {
    "aimv2": sized("aimv2_large_patch14_224", 32, img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2),
    "align_text": text("AlignTextModel", "AlignTextConfig"),
    "altclip": text("AltCLIPTextModel", "AltCLIPTextConfig", project_dim=16),
    "ast": encoder("ASTModel", "ASTConfig", "pooler_output", {"input_values": lambda: torch.randn(1, 64, 32)}, max_length=64,
        num_mel_bins=32, frequency_stride=10, time_stride=10, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, patch_size=16),
    "bart": encoder("BartModel", "BartConfig", "last_hidden_state", {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": lambda:
        ids(6)}, **SEQ2SEQ),
    "blip_vision": encoder("BlipVisionModel", "BlipVisionConfig", "pooler_output", PIXELS, **HF_VISION),
    "bloom": text("BloomModel", "BloomConfig", n_layer=1, n_head=2),
    "botnet": sized("botnet26t_256", 64, img_size=64),
    "camembert": text("CamembertModel", "CamembertConfig"),
    "chinese_clip": text("ChineseCLIPTextModel", "ChineseCLIPTextConfig"),
    "clap_audio": lambda: (Pick(transformers.ClapAudioModelWithProjection(transformers.ClapAudioConfig(patch_embeds_hidden_size=16,
        depths=[1, 1], num_attention_heads=[2, 2], hidden_size=32, window_size=4, spec_size=64, num_mel_bins=16, patch_size=4,
        patch_stride=[4, 4], projection_dim=16, enable_fusion=False)), ["input_features"], "audio_embeds"), {"input_features":
        torch.randn(1, 1, 256, 16)}),
    "clap_text": text("ClapTextModelWithProjection", "ClapTextConfig", "text_embeds", projection_dim=16),
    "clipseg": encoder("CLIPSegVisionModel", "CLIPSegVisionConfig", "pooler_output", {"pixel_values": image}, **HF_VISION),
    "coat": sized("coat_lite_tiny", 64, img_size=64, embed_dims=(16, 16, 32, 32), serial_depths=(1, 1, 1, 1)),
    "coatnet": sized("coatnet_0_rw_224", 64, img_size=64, depths=(1, 1, 1, 1), embed_dim=(32, 32, 64, 64), stem_width=(8, 16)),
    "cond_detr": encoder("ConditionalDetrForObjectDetection", "ConditionalDetrConfig", "logits", {"pixel_values": lambda: image(64)},
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, num_queries=5, use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage4"])),
    "convbert": text("ConvBertModel", "ConvBertConfig", embedding_size=16, conv_kernel_size=3, head_ratio=1),
    "crossvit": sized("crossvit_tiny_240", 240),
    "data2vec_audio": encoder("Data2VecAudioModel", "Data2VecAudioConfig", "last_hidden_state", WAVE, **SPEECH),
    "data2vec_text": text("Data2VecTextModel", "Data2VecTextConfig"),
    "data2vec_vision": encoder("Data2VecVisionModel", "Data2VecVisionConfig", "last_hidden_state", PIXELS, use_relative_position_bias=True,
        **HF_VISION),
    "davit": sized("davit_tiny", 64, depths=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32), num_heads=(1, 1, 2, 2), window_size=4),
    "debertav2": text("DebertaV2Model", "DebertaV2Config", relative_attention=True, pos_att_type=["c2p", "p2c"], max_relative_positions=16,
        position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True),
    "deepseekv3": text("DeepseekV3Model", "DeepseekV3Config", n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32,
        kv_lora_rank=16, q_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=16, first_k_dense_replace=1, n_group=1,
        topk_group=1),
    "deit3": vision("deit3_small_patch16_224"),
    "depth_anything": lambda:
        (Pick(transformers.DepthAnythingForDepthEstimation(transformers.DepthAnythingConfig(backbone_config=transformers.Dinov2Config(hidden_size=32,
        num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14, out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False, apply_layernorm=True), reassemble_hidden_size=32, patch_size=14, neck_hidden_sizes=[16, 16, 32, 32],
        fusion_hidden_size=16, head_in_index=-1, head_hidden_size=8)), ["pixel_values"], "predicted_depth"), {"pixel_values": image(56)}),
    "donut": encoder("DonutSwinModel", "DonutSwinConfig", "last_hidden_state", {"pixel_values": lambda: image(32)}, image_size=32,
        patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=4),
    "dpt": encoder("DPTForDepthEstimation", "DPTConfig", "predicted_depth", {"pixel_values": image}, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[16, 16, 32, 32], fusion_hidden_size=16, **{**HF_VISION, "num_hidden_layers": 4}),
    "edgenext": sized("edgenext_xx_small", 64),
    "efficientformer": sized("efficientformer_l1", 224, depths=(1, 1, 1, 2), embed_dims=(16, 16, 32, 32)),
    "efficientvit_b": sized("efficientvit_b0", 64),
    "efficientvit_m": sized("efficientvit_m0", 224),
    "ernie": text("ErnieModel", "ErnieConfig"),
    "esm": text("EsmModel", "EsmConfig", position_embedding_type="rotary"),
    "eurobert": text("EuroBertModel", "EuroBertConfig", num_key_value_heads=1),
    "falcon": text("FalconModel", "FalconConfig", alibi=False, new_decoder_architecture=False, multi_query=True),
    "fasternet": sized("fasternet_t0", 64),
    "flexivit": vision("flexivit_small"),
    "focalhf": encoder("FocalNetModel", "FocalNetConfig", "last_hidden_state", {"pixel_values": lambda: image(64)}, image_size=64,
        embed_dim=16, depths=[1, 1], hidden_sizes=[16, 32], focal_levels=[2, 2], focal_windows=[3, 3]),
    "focalnet": lambda: (timm.models.focalnet.FocalNet(num_classes=10, embed_dim=16, depths=(1, 1, 1, 1)), {"image": image(64)}),
    "gcvit": sized("gcvit_xxtiny", 64, img_size=64),
    "gemma2": text("Gemma2Model", "Gemma2Config", sliding_window=4, **GQA),
    "gemma3": text("Gemma3TextModel", "Gemma3TextConfig", sliding_window=4, **GQA),
    "ghostnetv3": sized("ghostnetv3_050", 64),
    "glpn": encoder("GLPNForDepthEstimation", "GLPNConfig", "predicted_depth", {"pixel_values": lambda: image(64)}, hidden_sizes=[16, 16,
        32, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, mlp_ratios=[2, 2, 2, 2]),
    "gmlp": lambda: (timm.models.mlp_mixer.MlpMixer(num_classes=10, img_size=32, patch_size=8, num_blocks=1, embed_dim=32, mlp_ratio=4,
        block_layer=timm.models.mlp_mixer.SpatialGatingBlock, mlp_layer=timm.layers.GatedMlp), {"image": image()}),
    "gptj": text("GPTJModel", "GPTJConfig", n_embd=32, n_layer=1, n_head=2, rotary_dim=8, n_positions=32),
    "groupvit": part("GroupViTModel", "GroupViTConfig", "vision_model", "pooler_output", PIXELS, vision_config=dict(hidden_size=32,
        intermediate_size=64, depths=[1, 1, 1], num_hidden_layers=3, num_group_tokens=[8, 4, 0], num_output_groups=[8, 4, 0],
        num_attention_heads=2, image_size=32, patch_size=8)),
    "hfbeit": encoder("BeitModel", "BeitConfig", "last_hidden_state", PIXELS, use_shared_relative_position_bias=True, **HF_VISION),
    "hfhiera": encoder("HieraModel", "HieraConfig", "last_hidden_state", {"pixel_values": lambda: image(64)}, embed_dim=16, image_size=[64,
        64], depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8]),
    "hfswin": encoder("SwinModel", "SwinConfig", "pooler_output", PIXELS, image_size=32, patch_size=4, embed_dim=16, depths=[1, 1],
        num_heads=[1, 2], window_size=4),
    "hgnetv2": sized("hgnetv2_b0", 64),
    "hiera": sized("hiera_tiny_224", 64, img_size=64, embed_dim=16, stages=(1, 1, 1, 1)),
    "ibert": text("IBertModel", "IBertConfig"),
    "ijepa": encoder("IJepaModel", "IJepaConfig", "last_hidden_state", PIXELS, **HF_VISION),
    "imagegpt": text("ImageGPTModel", "ImageGPTConfig", n_embd=32, n_layer=1, n_head=2, n_positions=32, with_mask=False),
    "inceptionnext": sized("inception_next_atto", 64),
    "lambda": sized("lambda_resnet26t", 64),
    "layoutlm": text("LayoutLMModel", "LayoutLMConfig"),
    "lfm2": text("Lfm2Model", "Lfm2Config", num_key_value_heads=1, layer_types=["conv"]),
    "m2m": encoder("M2M100Model", "M2M100Config", "last_hidden_state", {"input_ids": ids, "attention_mask": mask, "decoder_input_ids":
        lambda: ids(6)}, **SEQ2SEQ),
    "mambaout": sized("mambaout_femto", 64, depths=(1, 1, 1, 1), dims=(16, 16, 32, 32)),
    "marian": encoder("MarianMTModel", "MarianConfig", "logits", {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": lambda:
        ids(6)}, **SEQ2SEQ),
    "maskformer": encoder("MaskFormerSwinModel", "MaskFormerSwinConfig", "last_hidden_state", PIXELS, image_size=32, patch_size=4,
        embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=4),
    "megatronbert": text("MegatronBertModel", "MegatronBertConfig"),
    "mgpstr": encoder("MgpstrModel", "MgpstrConfig", "last_hidden_state", {"pixel_values": lambda: torch.randn(1, 3, 32, 64)},
        image_size=[32, 64], patch_size=8, hidden_size=32, num_hidden_layers=1, num_attention_heads=2),
    "mistral": text("MistralModel", "MistralConfig", sliding_window=4, **GQA),
    "mixer": lambda: (timm.models.mlp_mixer.MlpMixer(num_classes=10, img_size=32, patch_size=8, num_blocks=1, embed_dim=32), {"image":
        image()}),
    "mobilebert": text("MobileBertModel", "MobileBertConfig", embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=2),
    "mobileclip": sized("fastvit_mci0", 64, layers=(1, 1, 1, 1), embed_dims=(16, 16, 32, 32)),
    "mobilenetv4h": sized("mobilenetv4_hybrid_medium", 64),
    "mobilevitv2": sized("mobilevitv2_050", 64),
    "moonshine": part("MoonshineModel", "MoonshineConfig", "encoder", "last_hidden_state", {"input_values": lambda: torch.randn(1, 4000)},
        hidden_size=32, intermediate_size=64, encoder_num_hidden_layers=1, decoder_num_hidden_layers=1, encoder_num_attention_heads=2,
        decoder_num_attention_heads=2, vocab_size=64),
    "mpnet": text("MPNetModel", "MPNetConfig"),
    "mpt": text("MptModel", "MptConfig", d_model=32, n_layers=1, n_heads=2, max_seq_len=32),
    "mvitv2": sized("mvitv2_tiny", 64, img_size=64),
    "naflexvit": sized("naflexvit_base_patch16_gap", 32, embed_dim=32, depth=1, num_heads=2),
    "neox": text("GPTNeoXModel", "GPTNeoXConfig"),
    "nest": sized("nest_tiny", 64, img_size=64),
    "nextvit": sized("nextvit_small", 64),
    "nomic": text("NomicBertModel", "NomicBertConfig"),
    "olmo2": text("Olmo2Model", "Olmo2Config"),
    "opt": text("OPTModel", "OPTConfig", ffn_dim=64, word_embed_proj_dim=32),
    "owlvit_text": text("OwlViTTextModel", "OwlViTTextConfig", "pooler_output", bos_token_id=1, eos_token_id=2),
    "owlvit_vision": encoder("OwlViTVisionModel", "OwlViTVisionConfig", "pooler_output", PIXELS, **HF_VISION),
    "parakeet": encoder("ParakeetEncoder", "ParakeetEncoderConfig", "last_hidden_state", {"input_features": lambda: torch.randn(1, 40, 16)},
        num_mel_bins=16, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, subsampling_conv_channels=8,
        conv_kernel_size=5),
    "pe": sized("vit_pe_core_tiny_patch16_384", 32, img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2),
    "phi": text("PhiModel", "PhiConfig"),
    "phi3": text("Phi3Model", "Phi3Config"),
    "pit": sized("pit_ti_224", 64, img_size=64, base_dims=(16, 16, 16), depth=(1, 1, 1), heads=(1, 2, 2)),
    "poolformerhf": encoder("PoolFormerModel", "PoolFormerConfig", "last_hidden_state", {"pixel_values": lambda: image(64)},
        hidden_sizes=[16, 16, 32, 32], depths=[1, 1, 1, 1]),
    "pvtv2hf": encoder("PvtV2Model", "PvtV2Config", "last_hidden_state", PIXELS, depths=[1, 1, 1, 1], hidden_sizes=[16, 16, 32, 32],
        num_attention_heads=[1, 1, 2, 2], mlp_ratios=[2, 2, 2, 2]),
    "qwen2": text("Qwen2Model", "Qwen2Config", **GQA),
    "rdnet": sized("rdnet_tiny", 64),
    "repvit": sized("repvit_m0_9", 64, embed_dim=(16, 16, 32, 32), depth=(1, 1, 1, 1)),
    "resmlp": lambda: (timm.models.mlp_mixer.MlpMixer(num_classes=10, img_size=32, patch_size=8, num_blocks=1, embed_dim=32, mlp_ratio=4,
        block_layer=timm.models.mlp_mixer.ResBlock, norm_layer=timm.models.mlp_mixer.Affine), {"image": image()}),
    "roberta_pre": text("RobertaPreLayerNormModel", "RobertaPreLayerNormConfig"),
    "roformer": text("RoFormerModel", "RoFormerConfig", embedding_size=32),
    "s2t": part("Speech2TextModel", "Speech2TextConfig", "encoder", "last_hidden_state", {"input_features": lambda: torch.randn(1, 40, 16)},
        input_feat_per_channel=16, conv_channels=16, max_source_positions=64, max_target_positions=32, **{k: v for k, v in SEQ2SEQ.items() if k
        != "max_position_embeddings"}),
    "sam_vision_hf": encoder("SamVisionModel", "SamVisionConfig", "last_hidden_state", {"pixel_values": lambda: image(64)}, hidden_size=32,
        num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=8, output_channels=16, global_attn_indexes=[1], window_size=4,
        mlp_dim=64),
    "sam_decoder": sam_decoder,
    "sew": encoder("SEWModel", "SEWConfig", "last_hidden_state", WAVE, squeeze_factor=2, **SPEECH),
    "shvit": sized("shvit_s1", 64),
    "smollm3": text("SmolLM3Model", "SmolLM3Config", num_key_value_heads=1),
    "squeezebert": text("SqueezeBertModel", "SqueezeBertConfig", embedding_size=32, q_groups=2, k_groups=2, v_groups=2,
        intermediate_groups=2, output_groups=2),
    "starcoder2": text("Starcoder2Model", "Starcoder2Config", num_key_value_heads=1),
    "starnet": sized("starnet_s050", 64),
    "swiftformer": sized("swiftformer_xs", 64),
    "swin2sr": encoder("Swin2SRForImageSuperResolution", "Swin2SRConfig", "reconstruction", {"pixel_values": lambda: image(16)},
        image_size=16, patch_size=1, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=4, upscale=2),
    "swins3": sized("swin_s3_tiny_224", 64, img_size=64, embed_dim=16, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), window_size=(4, 4, 4,
        2)),
    "t5full": encoder("T5ForConditionalGeneration", "T5Config", "logits", {"input_ids": ids, "attention_mask": mask, "decoder_input_ids":
        lambda: ids(6)}, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_decoder_layers=1, num_heads=2, vocab_size=64, pad_token_id=0,
        decoder_start_token_id=0, use_cache=False),
    "timesformer": encoder("TimesformerModel", "TimesformerConfig", "last_hidden_state", {"pixel_values": lambda: torch.randn(1, 4, 3, 32,
        32)}, num_frames=4, **HF_VISION),
    "tinyvit": sized("tiny_vit_5m_224", 64, embed_dims=(16, 32, 32, 32), depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2), window_sizes=(4, 4, 4,
        4)),
    "tnt": sized("tnt_s_patch16_224", 32, img_size=32, embed_dim=32, depth=1, num_heads_outer=2),
    "trocrdec": text("TrOCRForCausalLM", "TrOCRConfig", "logits", d_model=32, decoder_layers=1, decoder_attention_heads=2,
        decoder_ffn_dim=64),
    "unispeech": encoder("UniSpeechModel", "UniSpeechConfig", "last_hidden_state", WAVE, **SPEECH),
    "videomae": encoder("VideoMAEModel", "VideoMAEConfig", "last_hidden_state", {"pixel_values": lambda: torch.randn(1, 4, 3, 32, 32)},
        num_frames=4, tubelet_size=2, **HF_VISION),
    "visformer": sized("visformer_tiny", 64, img_size=64, embed_dim=32, depth=(1, 1, 1), num_heads=2),
    "vit_mlp": vision("vit_medium_patch16_gap_240"),
    "vit_parallel": vision("vit_small_patch16_18x2_224"),
    "vit_ppf": vision("vit_medium_patch16_rope_reg1_gap_256"),
    "vit_so400m": vision("vit_so400m_patch14_siglip_224"),
    "vitamin": sized("vitamin_small_224", 64, img_size=64),
    "vitpose": lambda:
        (Pick(transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(backbone_config=transformers.VitPoseBackboneConfig(hidden_size=32,
        num_hidden_layers=1, num_attention_heads=2, image_size=[64, 48], patch_size=[16, 16], out_indices=[1]), num_labels=5)),
        ["pixel_values"], "heatmaps"), {"pixel_values": torch.randn(1, 3, 64, 48)}),
    "vivit": encoder("VivitModel", "VivitConfig", "pooler_output", {"pixel_values": lambda: torch.randn(1, 4, 3, 32, 32)}, num_frames=4,
        tubelet_size=[2, 8, 8], hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32),
    "w2v_bert": encoder("Wav2Vec2BertModel", "Wav2Vec2BertConfig", "last_hidden_state", {"input_features": lambda: torch.randn(1, 20, 16)},
        feature_projection_input_dim=16, left_max_position_embeddings=4, right_max_position_embeddings=2, conv_depthwise_kernel_size=5,
        **AUDIO),
    "w2v_conformer": encoder("Wav2Vec2ConformerModel", "Wav2Vec2ConformerConfig", "last_hidden_state", WAVE, **SPEECH),
    "w2v_conformer_rot": encoder("Wav2Vec2ConformerModel", "Wav2Vec2ConformerConfig", "last_hidden_state", WAVE,
        position_embeddings_type="rotary", **SPEECH),
    "wavlm": encoder("WavLMModel", "WavLMConfig", "last_hidden_state", WAVE, num_buckets=8, max_bucket_distance=16, **SPEECH),
    "xclip_v": encoder("XCLIPVisionModel", "XCLIPVisionConfig", "pooler_output", {"pixel_values": lambda: torch.randn(4, 3, 32, 32)},
        num_frames=4, mit_hidden_size=32, mit_intermediate_size=64, mit_num_hidden_layers=1, mit_num_attention_heads=2, **HF_VISION),
    "xmod": text("XmodModel", "XmodConfig", languages=["en_XX"], default_language="en_XX"),
    "yolos": encoder("YolosForObjectDetection", "YolosConfig", "logits", PIXELS, num_detection_tokens=5, **{**HF_VISION, "image_size": [32,
        32]}),
}


def main():
    warnings.filterwarnings("ignore")
    torch.backends.mha.set_fastpath_enabled(False)
    folder, how = sys.argv[1:3]
    pattern = sys.argv[3] if len(sys.argv) > 3 else ""
    families_export.FAMILIES = {f"{name}.l17": build for name, build in MORE.items()}
    for name in (n for n in MORE if re.search(pattern, n)):
        timm.layers.set_fused_attn(how not in ("l11", "l13"))
        try:
            families_export.export(f"{name}.{how}", folder)
            print(name, "ok", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            print(name, "FAILED", str(e)[:200].replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
