"""A model's weights dealt out over processes (FSDP2, `fully_shard`). Knows blocks, no data."""

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from unitok.models.transformer import Transformer


def shard(model: Transformer, mesh: DeviceMesh) -> None:
    """Shard each block, then the rest, over the mesh's data-parallel axis."""
    mesh = mesh["data_parallel"] if "data_parallel" in (mesh.mesh_dim_names or ()) else mesh
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be dealt out, all of it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
