/// sq-run as a function, for the tool and for executables made by sq-compile.
#ifndef SQ_LIB_RUN_SQRUN_H
#define SQ_LIB_RUN_SQRUN_H

/// Runs the command line and returns the exit code. `artifact`: a path; "" for
/// the artifact this program is linked with; null: the first positional
/// argument names it.
extern "C" int sq_run_main(int argc, char **argv, const char *artifact);

#endif
