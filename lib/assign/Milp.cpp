#include "lib/assign/Milp.h"

#include <algorithm>
#include <csetjmp>

#include <glpk.h>

using namespace sq::assign;

namespace {

/// Everything that a jump out of GLPK passes by is plain.
struct Run {
  const Milp *program;
  int64_t maxNodes;
  int *indices;   // [1 + 1 + limits]
  double *values; // the same
  MilpResult::Kind kind;
  bool hasPlan;
  int *chosen;    // [numGroups]
  double *prices; // [limits]
};

} // namespace

static void stopAtLimit(glp_tree *tree, void *data) {
  int total = 0;
  glp_ios_tree_size(tree, nullptr, nullptr, &total);
  if (total > static_cast<Run *>(data)->maxNodes)
    glp_ios_terminate(tree);
}

/// Errors are printed whatever glp_term_out says.
static int printNothing(void *, const char *) { return 1; }

/// GLPK's own asserts and lack of memory would end the process.
static void leave(void *jump) { std::longjmp(*static_cast<std::jmp_buf *>(jump), 1); }

static void build(glp_prob *lp, Run &run) {
  const Milp &p = *run.program;
  const int groups = p.numGroups, limits = p.limits.size();
  glp_add_rows(lp, groups + limits);
  for (int g = 0; g < groups; ++g)
    glp_set_row_bnds(lp, g + 1, GLP_FX, 1, 1);
  for (int k = 0; k < limits; ++k)
    glp_set_row_bnds(lp, groups + k + 1, GLP_UP, 0, p.limits[k]);
  glp_add_cols(lp, p.columns.size());
  for (int j = 0, n = p.columns.size(); j < n; ++j) {
    const Milp::Column &column = p.columns[j];
    glp_set_col_kind(lp, j + 1, GLP_BV);
    glp_set_obj_coef(lp, j + 1, column.objective);
    run.indices[1] = column.group + 1;
    run.values[1] = 1;
    for (int k = 0; k < limits; ++k) {
      run.indices[2 + k] = groups + k + 1;
      run.values[2 + k] = column.costs[k];
    }
    glp_set_mat_col(lp, j + 1, 1 + limits, run.indices, run.values);
  }
}

static void solve(glp_prob *lp, Run &run) {
  const Milp &p = *run.program;
  const int limits = p.limits.size();
  glp_smcp simplex;
  glp_init_smcp(&simplex);
  simplex.msg_lev = GLP_MSG_OFF;
  simplex.meth = GLP_DUALP; // falls back to the primal simplex
  if (glp_simplex(lp, &simplex) != 0)
    return;
  if (int status = glp_get_status(lp); status != GLP_OPT) {
    run.kind = status == GLP_NOFEAS || status == GLP_INFEAS ? MilpResult::Infeasible : MilpResult::Stopped;
    return;
  }
  for (int k = 0; k < limits; ++k)
    run.prices[k] = std::max(0.0, -glp_get_row_dual(lp, p.numGroups + k + 1));
  glp_iocp options;
  glp_init_iocp(&options);
  options.msg_lev = GLP_MSG_OFF;
  options.cov_cuts = options.mir_cuts = GLP_ON;
  options.cb_func = stopAtLimit;
  options.cb_info = &run;
  const int code = glp_intopt(lp, &options), status = glp_mip_status(lp);
  if (status == GLP_NOFEAS && code == 0) {
    run.kind = MilpResult::Infeasible;
    return;
  }
  if (status != GLP_OPT && status != GLP_FEAS)
    return;
  for (int j = 0, n = p.columns.size(); j < n; ++j)
    if (glp_mip_col_val(lp, j + 1) > 0.5)
      run.chosen[p.columns[j].group] = j;
  run.hasPlan = std::find(run.chosen, run.chosen + p.numGroups, -1) == run.chosen + p.numGroups;
  run.kind = run.hasPlan && status == GLP_OPT ? MilpResult::Optimal : MilpResult::Stopped;
}

static void guarded(Run &run) {
  std::jmp_buf jump;
  glp_term_hook(printNothing, nullptr);
  if (setjmp(jump) == 0) {
    glp_error_hook(leave, &jump);
    glp_prob *lp = glp_create_prob();
    build(lp, run);
    solve(lp, run);
    glp_delete_prob(lp);
    glp_error_hook(nullptr, nullptr);
  } else {
    run.kind = MilpResult::Stopped;
    run.hasPlan = false;
  }
  glp_free_env(); // this thread's, with what a jump has left
}

MilpResult sq::assign::solveMilp(const Milp &program, int64_t maxNodes) {
  MilpResult result;
  std::vector<int> indices(2 + program.limits.size()), chosen(program.numGroups, -1);
  std::vector<double> values(indices.size());
  result.prices.assign(program.limits.size(), 0);
  Run run{&program, maxNodes,      indices.data(),      values.data(), MilpResult::Stopped,
          false,    chosen.data(), result.prices.data()};
  guarded(run);
  result.kind = run.kind;
  if (run.hasPlan)
    result.chosen = std::move(chosen);
  return result;
}
