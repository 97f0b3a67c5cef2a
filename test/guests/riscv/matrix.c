// Multiplies matrices of doubles whose products are whole numbers, so that each result is exact,
// and floats whose square roots are known.
#include "guest.h"

enum { SIDE = 96 };
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
static i64 wholes[SIDE][SIDE];

int main(void) {
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      a[i][j] = (double)((i * 31 + j * 17) % 1001 - 500);
      b[i][j] = (double)((i * 13 + j * 7) % 997 - 498) * 0.5;
    }
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      double sum = 0;
      i64 whole = 0;
      for (int k = 0; k < SIDE; k++) {
        sum += a[i][k] * b[k][j];
        whole += (i64)((i * 31 + k * 17) % 1001 - 500) * ((k * 13 + j * 7) % 997 - 498);
      }
      c[i][j] = sum;
      wholes[i][j] = whole;
    }
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) check_equal((i64)(c[i][j] * 2), wholes[i][j]);
  for (u32 root = 1; root < 4000; root++) {
    float single, square = (float)(root * root);
    double twice, exact = (double)root * root;
    asm("fsqrt.s %0, %1" : "=f"(single) : "f"(square));
    asm("fsqrt.d %0, %1" : "=f"(twice) : "f"(exact));
    check(single == (float)root);
    check(twice == (double)root);
    check((float)root / 8 * 8 == (float)root);
  }
  return 0;
}
