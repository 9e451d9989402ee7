"""Models: what is served, as the manifests of the store's graphs say it."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.manifest import Manifest
from service.orders import ENDPOINTS
from service.problems import shorten
from service.registry import ServedGraph, ServedModel
from service.routes.documentation import problems
from service.routes.state import TheRegistry
from service.upscaler import model_version

router = APIRouter(tags=["models"])


class GraphFacts(Manifest):
    """The manifest of one graph, and how it is run here. Lengths are in LR pixels, PSNR in dB on Y."""

    version: str = Field(description="The beginning of the weights' sha256, as in X-SR-Model-Version")
    device: str = Field(description="cpu or cuda")
    sixteen_bit: bool = Field(description="Whether pictures of 16 bits a channel are served")
    ensemble: bool = Field(description="Whether ensemble=true is served")


class ModelFacts(BaseModel):
    """One model: a name, and a graph for each scale."""

    name: str
    family: str
    kind: Literal["rgb", "y", "frames", "degradation"] = Field(
        description="What the network works on: colours, luma, a window of frames; or it makes LR pictures of HR ones"
    )
    endpoint: str = Field(description="Path that serves it", examples=["/upscale"])
    paper: str
    licence: str
    scales: list[int]
    graphs: list[GraphFacts]


@router.get("/models", summary="All models that are served")
async def list_models(registry: TheRegistry) -> list[ModelFacts]:
    """By name."""
    return [_facts(model) for _, model in sorted(registry.models.items())]


@router.get("/models/{name}", summary="One model: kind, scales, sizes, licence, measured PSNR", responses=problems(404))
async def get_model(name: str, registry: TheRegistry) -> ModelFacts:
    """The model of that name; 404 `unknown-model` lists those that are served."""
    return _facts(registry.get(shorten(name)))


def _facts(model: ServedModel) -> ModelFacts:
    graphs = [_graph_facts(model.graph(scale)) for scale in model.scales]
    first = graphs[0]
    return ModelFacts(
        name=model.name,
        family=first.family,
        kind="degradation" if model.direction == "down" else first.input,
        endpoint=ENDPOINTS[model.direction],
        paper=first.paper,
        licence=first.licence,
        scales=list(model.scales),
        graphs=graphs,
    )


def _graph_facts(graph: ServedGraph) -> GraphFacts:
    return GraphFacts(
        **graph.manifest.model_dump(),
        version=model_version(graph),
        device=graph.session.device,
        sixteen_bit=graph.has_float,
        ensemble=graph.has_ensemble,
    )
