/* Preloaded into PyTorch on AMD processors: MKL takes its fast kernels only where this answers 1. */
int mkl_serv_intel_cpu_true(void) { return 1; }
