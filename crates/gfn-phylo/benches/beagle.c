/* The same work as whole_tree of likelihood.rs in BEAGLE: 27 taxa, 934 patterns, f64, its best CPU resource on one thread.
 *
 *   cc -O2 crates/gfn-phylo/benches/beagle.c -o beagle -I/usr/include/libhmsbeagle-1 -lhmsbeagle && taskset -c 1 ./beagle
 *
 * Prints updates of a node, pattern and category (26 nodes) a second for 1 and 4 rate categories: median and best of 200 evaluations. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "libhmsbeagle/beagle.h"

enum { TAXA = 27, PATTERNS = 934, REPEATS = 200 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(int categories, long flags) {
  BeagleInstanceDetails details;
  int b = beagleCreateInstance(TAXA, 2 * TAXA - 1, TAXA, 4, PATTERNS, 1, 2 * TAXA, categories, 0, NULL, 0, flags,
                               BEAGLE_FLAG_PROCESSOR_CPU | BEAGLE_FLAG_PRECISION_DOUBLE, &details);
  if (b < 0) exit(1);
  srand(1);
  for (int taxon = 0; taxon < TAXA; taxon++) {
    int states[PATTERNS];
    for (int i = 0; i < PATTERNS; i++) states[i] = rand() % 4;
    beagleSetTipStates(b, taxon, states);
  }
  double weights[PATTERNS], rates[4] = {.03, .28, .92, 2.77}, shares[4] = {.25, .25, .25, .25}, one = 1;
  for (int i = 0; i < PATTERNS; i++) weights[i] = 1;
  double frequencies[4] = {.25, .25, .25, .25};
  beagleSetPatternWeights(b, weights);
  beagleSetStateFrequencies(b, 0, frequencies);
  beagleSetCategoryWeights(b, 0, categories == 1 ? &one : shares);
  beagleSetCategoryRates(b, categories == 1 ? &one : rates);
  double evec[16] = {1, 2, 0, .5, 1, -2, .5, 0, 1, 2, 0, -.5, 1, -2, -.5, 0};
  double ivec[16] = {.25, .25, .25, .25, .125, -.125, .125, -.125, 0, 1, 0, -1, 1, 0, -1, 0};
  double eval[4] = {0, -4. / 3, -4. / 3, -4. / 3};
  beagleSetEigenDecomposition(b, 0, evec, ivec, eval);
  int edges[2 * TAXA];
  double lengths[2 * TAXA];
  for (int e = 0; e < 2 * TAXA - 2; e++) edges[e] = e, lengths[e] = .1;
  BeagleOperation operations[TAXA];
  int queue[2 * TAXA], head = 0, tail = 0, n = 0;
  for (int taxon = 0; taxon < TAXA; taxon++) queue[tail++] = taxon;
  while (tail - head > 1) {
    int x = queue[head++], y = queue[head++], node = TAXA + n;
    operations[n++] = (BeagleOperation){node, BEAGLE_OP_NONE, BEAGLE_OP_NONE, x, x, y, y};
    queue[tail++] = node;
  }
  double seconds[REPEATS], sum = 0;
  int root = TAXA + n - 1, zero = 0, none = BEAGLE_OP_NONE;
  for (int r = 0; r < REPEATS; r++) {
    double start = now();
    beagleUpdateTransitionMatrices(b, 0, edges, NULL, NULL, lengths, 2 * TAXA - 2);
    beagleUpdatePartials(b, operations, n, BEAGLE_OP_NONE);
    beagleCalculateRootLogLikelihoods(b, &root, &zero, &zero, &none, 1, &sum);
    seconds[r] = now() - start;
  }
  qsort(seconds, REPEATS, sizeof *seconds, by_value);
  double updates = 26. * PATTERNS * categories;
  printf("%-28s %d categories: median %.0f M, best %.0f M updates/s (log likelihood %.3f)\n", details.implName, categories,
         1e-6 * updates / seconds[REPEATS / 2], 1e-6 * updates / seconds[0], sum);
  beagleFinalizeInstance(b);
}

int main(void) {
  long flags[] = {BEAGLE_FLAG_VECTOR_SSE, BEAGLE_FLAG_VECTOR_NONE};
  for (int f = 0; f < 2; f++)
    for (int categories = 1; categories <= 4; categories += 3) measure(categories, flags[f]);
  return 0;
}
