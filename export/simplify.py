"""Part of step 2: constants are folded, idle nodes removed, and BatchNorm is left alone.

The exporter's own optimisation also folds BatchNorm into the convolution before it. The convolution's weights would
then be no longer those of the checkpoint, and would have to stand in every graph a second time. ONNX Runtime folds them
itself when it opens the graph (docs/decisions/0021).
"""

import onnx_ir as ir
import onnx_ir.passes.common as common
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.pattern import RewriteRuleSet
from onnxscript.rewriter.rules.common import (
    add_0_rule,
    collapse_slice2_rule,
    collapse_slice_rule,
    div_by_1_rule,
    materialize_reshape_shape_rule,
    mul_by_1_rule,
    no_op_cast_rule,
    no_op_expand_rule,
    no_op_transpose_rule,
    reshape_reshape_rule,
    sub_0_rule,
    transpose_transpose_rule,
    unsqueeze_unsqueeze_rule,
)

RULES = RewriteRuleSet(
    [
        add_0_rule,
        collapse_slice2_rule,
        collapse_slice_rule,
        div_by_1_rule,
        materialize_reshape_shape_rule,
        mul_by_1_rule,
        no_op_cast_rule,
        no_op_expand_rule,
        no_op_transpose_rule,
        reshape_reshape_rule,
        sub_0_rule,
        transpose_transpose_rule,
        unsqueeze_unsqueeze_rule,
    ]
)
CLEAN: tuple[type[ir.passes.InPlacePass], ...] = (
    common.RemoveUnusedNodesPass,
    common.RemoveUnusedFunctionsPass,
    common.RemoveUnusedOpsetsPass,
)
ROUNDS = 2  # what is folded in the first uncovers little for the second, and nothing for a third


def simplify(model: ir.Model) -> None:
    """Changes the model in place; it computes what it computed."""
    common.InlinePass()(model)
    for _ in range(ROUNDS):
        optimizer.fold_constants_ir(model, onnx_shape_inference=True)
        rewriter.RewritePass(RULES)(model)
        for step in CLEAN:
            step()(model)
    for last in (
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    ):
        last(model)
