"""Segmenter and SETR as plain PyTorch modules, with the parameter names of mmsegmentation's checkpoints.

The peer of the training step, and the source of reference numbers. Must not know optimisers, data or time.
`python networks_torch.py GOLDEN.safetensors...` compares the modules with recorded logits, losses and gradients in float32.
"""
import torch
import torch.nn.functional as F
from torch import nn

IGNORED = 255
# width, layers, heads, and the layers (from 0) whose outputs SETR uses: naive and pup, then mla
SIZES = {"XS": (96, 3, 3), "T": (192, 12, 3), "S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16)}


def taps_of(layers, arch):
    """SETR's taps: in 24 layers 9, 14, 19, 23 (mla 5, 11, 17, 23); in others at the same depth."""
    at = (5, 11, 17, 23) if arch == "setr_mla" else (9, 14, 19, 23)
    return [(tap + 1) * layers // 24 - 1 for tap in at]


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attn = nn.Module()
        self.attn.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * 0.02)
        self.attn.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.attn.out_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        packed = F.linear(x, self.attn.in_proj_weight, self.attn.in_proj_bias)
        q, k, v = packed.reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.attn.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads, eps):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.attn = Attention(width, heads)
        self.ffn = nn.Module()
        self.ffn.layers = nn.ModuleList([nn.ModuleList([nn.Linear(width, 4 * width)]), nn.Linear(4 * width, width)])

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        first, second = self.ffn.layers
        return x + second(F.gelu(first[0](self.ln2(x))))


class Encoder(nn.Module):
    """Images [B,3,H,W] → the outputs of the tapped layers as maps [B,width,H/patch,W/patch]."""

    def __init__(self, width, layers, heads, patch, grid, taps, final_norm, class_token):
        super().__init__()
        self.taps, self.class_token = taps, class_token
        self.patch_embed = nn.Module()
        self.patch_embed.projection = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + grid[0] * grid[1], width) * 0.02)
        self.layers = nn.ModuleList(Block(width, heads, 1e-6) for _ in range(layers))
        self.ln1 = nn.LayerNorm(width, 1e-6) if final_norm else None

    def forward(self, image):
        x = self.patch_embed.projection(image)
        batch, width, height, across = x.shape
        x = x.flatten(2).transpose(1, 2)
        if self.class_token:
            x = torch.cat([self.cls_token.expand(batch, -1, -1), x], 1) + self.pos_embed
        else:
            x = x + self.pos_embed[:, 1:]
        found = []
        for at, layer in enumerate(self.layers):
            x = layer(x)
            if at == len(self.layers) - 1 and self.ln1 is not None:
                x = self.ln1(x)
            if at in self.taps:
                patches = x[:, 1:] if self.class_token else x
                found.append(patches.transpose(1, 2).reshape(batch, width, height, across))
        return found


class MaskDecoder(nn.Module):
    def __init__(self, width, heads, classes):
        super().__init__()
        self.dec_proj = nn.Linear(width, width)
        self.cls_emb = nn.Parameter(torch.randn(1, classes, width) * 0.02)
        self.layers = nn.ModuleList(Block(width, heads, 1e-5) for _ in range(2))
        self.decoder_norm = nn.LayerNorm(width)
        self.patch_proj, self.classes_proj = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.mask_norm = nn.LayerNorm(classes)

    def forward(self, taps):
        batch, _, height, across = taps[-1].shape
        x = self.dec_proj(taps[-1].flatten(2).transpose(1, 2))
        x = torch.cat([x, self.cls_emb.expand(batch, -1, -1)], 1)
        for layer in self.layers:
            x = layer(x)
        x = self.decoder_norm(x)
        count = height * across
        patches, classes = self.patch_proj(x[:, :count]), self.classes_proj(x[:, count:])
        masks = F.normalize(patches, dim=2) @ F.normalize(classes, dim=2).transpose(1, 2)
        return self.mask_norm(masks).transpose(1, 2).reshape(batch, -1, height, across)


class LinearHead(nn.Module):
    """A 1×1 convolution of one tap."""

    def __init__(self, width, classes, tap=-1):
        super().__init__()
        self.tap, self.conv_seg = tap, nn.Conv2d(width, classes, 1)

    def forward(self, taps):
        return self.conv_seg(taps[self.tap])


class ConvNorm(nn.Module):
    def __init__(self, inner, outer, kernel):
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outer)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def grow(x, times):
    return F.interpolate(x, scale_factor=float(times), mode="bilinear")


class UpHead(nn.Module):
    """SETR naive and PUP: LayerNorm of one tap, then convolutions that are each followed by enlargement."""

    def __init__(self, width, channels, classes, tap, convs, times, kernel):
        super().__init__()
        self.tap, self.times = tap, times
        self.norm = nn.LayerNorm(width, 1e-6)
        inner = [width] + [channels] * (convs - 1)
        self.up_convs = nn.ModuleList(nn.ModuleList([ConvNorm(size, channels, kernel)]) for size in inner)
        self.conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(self, taps):
        x = self.norm(taps[self.tap].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        for conv, in self.up_convs:
            x = grow(conv(x), self.times)
        return self.conv_seg(x)


class Neck(nn.Module):
    """SETR-MLA: four taps, normalised, projected, and summed from the deepest up."""

    def __init__(self, width, channels):
        super().__init__()
        self.norm = nn.ModuleList(nn.LayerNorm(width, 1e-6) for _ in range(4))
        self.mla = nn.Module()
        self.mla.channel_proj = nn.ModuleList(ConvNorm(width, channels, 1) for _ in range(4))
        self.mla.feat_extract = nn.ModuleList(ConvNorm(channels, channels, 3) for _ in range(4))

    def forward(self, taps):
        projected = [conv(norm(tap.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
                     for conv, norm, tap in zip(self.mla.channel_proj, self.norm, taps)]
        total, found = 0, []
        for part, conv in zip(reversed(projected), self.mla.feat_extract):
            total = total + part
            found.append(conv(total))
        return found


class MultiHead(nn.Module):
    def __init__(self, channels, branch, classes):
        super().__init__()
        self.up_convs = nn.ModuleList(nn.ModuleList([ConvNorm(channels, branch, 3), ConvNorm(branch, branch, 3)]) for _ in range(4))
        self.conv_seg = nn.Conv2d(4 * branch, classes, 1)

    def forward(self, taps):
        return self.conv_seg(torch.cat([grow(second(first(tap)), 4) for (first, second), tap in zip(self.up_convs, taps)], 1))


class Network(nn.Module):
    """Images [B,3,H,W] → logits of the main head and of the auxiliary heads (in training), each before enlargement."""

    def __init__(self, arch, classes, size, width, layers, heads, patch=16, channels=256, branch=128, taps=None):
        super().__init__()
        mla, segmenter = arch == "setr_mla", arch.startswith("segmenter")
        taps = [layers - 1] if segmenter else taps or taps_of(layers, arch)
        grid = (size[0] // patch, size[1] // patch)
        self.backbone = Encoder(width, layers, heads, patch, grid, taps, segmenter, not mla)
        self.neck = Neck(width, channels) if mla else None
        self.auxiliary_head = nn.ModuleList()
        if arch == "segmenter_mask":
            self.decode_head = MaskDecoder(width, heads, classes)
        elif arch == "segmenter_linear":
            self.decode_head = LinearHead(width, classes)
        elif mla:
            self.decode_head = MultiHead(channels, branch, classes)
            self.auxiliary_head.extend(LinearHead(channels, classes, tap) for tap in range(4))
        else:
            kernel, convs, times = {"setr_naive": (1, 1, 4), "setr_pup": (3, 4, 2)}[arch]
            self.decode_head = UpHead(width, channels, classes, 3, convs, times, kernel)
            self.auxiliary_head.extend(UpHead(width, channels, classes, tap, 2, 4, kernel) for tap in range(3))

    def forward(self, image):
        taps = self.backbone(image)
        if self.neck is not None:
            taps = self.neck(taps)
        heads = [self.decode_head, *(self.auxiliary_head if self.training else [])]
        return [head(taps) for head in heads]


def enlarged(logits, size):
    return F.interpolate(logits, size=tuple(size), mode="bilinear")


def loss_of(parts, label):
    """Cross-entropy over the valid pixels, divided by all pixels; auxiliary heads weigh 0.4. label [B,H,W] i64."""
    losses = [F.cross_entropy(enlarged(part, label.shape[1:]), label, ignore_index=IGNORED, reduction="sum") / label.numel()
              for part in parts]
    return losses[0] + 0.4 * sum(losses[1:])


def from_golden(path):
    """The network of a file of golden numbers with its weights, and the file's tensors."""
    from safetensors import safe_open
    with safe_open(path, "pt") as file:
        about, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    number = lambda key: int(about[key])  # noqa: E731
    taps = [int(tap) for tap in about["taps"].strip("[]").split(",")]
    network = Network(about["model"], number("n"), (number("H"), number("W")), number("D"), number("L"), number("h"), number("ps"),
                      number("ch"), 8, taps)
    network.load_state_dict({key.removeprefix("param/"): value for key, value in tensors.items() if key.startswith("param/")})
    return network, tensors


def differences(path):
    """Largest absolute difference of logits and loss, and largest relative one of a gradient (in norm), in float32.

    The LayerNorm biases in front of a 1×1 convolution with batch norm have a true gradient of 0, hence the floor.
    """
    network, tensors = from_golden(path)
    image, label = tensors["input/image"], tensors["input/label"].long()
    with torch.no_grad():
        logits = enlarged(network.eval()(image)[0], image.shape[2:])
    loss = loss_of(network.train()(image), label)
    loss.backward()
    worst = 0.0
    for name, parameter in network.named_parameters():
        said = tensors.get(f"grad/{name}")
        if said is not None:
            found = torch.zeros_like(said) if parameter.grad is None else parameter.grad
            worst = max(worst, float((found - said).norm() / said.norm().clamp_min(1e-4)))
    return float((logits - tensors["eval/seg_logits"]).abs().max()), abs(loss.item() - float(tensors["train/loss_per_step"][0])), worst


if __name__ == "__main__":
    import sys
    torch.set_num_threads(1)
    for path in sys.argv[1:]:
        print("{}: logits {:.1e}, loss {:.1e}, gradients {:.1e}".format(path, *differences(path)))
