#include "lib/run/SqRun.h"

int main(int argc, char **argv) { return sq_run_main(argc, argv, ""); }
