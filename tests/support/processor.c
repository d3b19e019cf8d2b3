/* Lets a program believe that it runs on another x86 processor: a library for LD_PRELOAD.
 *
 * With CPUID faulting switched on, every CPUID instruction raises SIGSEGV; the handler below answers it as PROCESSOR
 * says. Only what programs ask for is changed: the instructions themselves still run on the processor that is here, so
 * approximations such as rsqrtps round as they do here.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef ARCH_SET_CPUID
#define ARCH_SET_CPUID 0x1012
#endif

enum { A, B, C, D }; /* the registers of an answer */

struct processor {
    const char *name;
    int amd, avx2, avx512, bf16;
    uint32_t l1_kib, l2_kib, l3_kib;
};

static const struct processor KNOWN[] = {
    {"sandybridge", 0, 0, 0, 0, 32, 256, 8192},
    {"haswell", 0, 1, 0, 0, 32, 256, 8192},
    {"skylake-x", 0, 1, 1, 0, 32, 1024, 16384},
    {"zen3", 1, 1, 0, 0, 32, 512, 32768},
    {"zen4", 1, 1, 1, 1, 32, 1024, 32768},
};

static const struct processor *shown;

static void fault(int on) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on); }

static void ask(uint32_t leaf, uint32_t part, uint32_t *answer) {
    fault(0);
    __asm__ volatile("cpuid"
                     : "=a"(answer[A]), "=b"(answer[B]), "=c"(answer[C]), "=d"(answer[D])
                     : "a"(leaf), "c"(part));
    fault(1);
}

static uint32_t without(uint32_t bits, const int *numbers, int n) {
    for (int i = 0; i < n; i++) bits &= ~(1u << numbers[i]);
    return bits;
}
#define WITHOUT(bits, ...) \
    without(bits, (int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

static void hide_features(uint32_t leaf, uint32_t part, uint32_t *answer) {
    if (leaf == 1 && !shown->avx2) answer[C] = WITHOUT(answer[C], 12 /* FMA */, 29 /* F16C */);
    if (leaf == 7 && part == 0) {
        answer[D] = WITHOUT(answer[D], 22, 23, 24, 25); /* AMX, half precision */
        if (!shown->bf16) { /* the small extensions of AVX-512: VBMI, VNNI, BITALG, ... */
            answer[B] = WITHOUT(answer[B], 21);
            answer[C] = WITHOUT(answer[C], 1, 6, 11, 12, 14);
        }
        if (!shown->avx512) {
            answer[B] = WITHOUT(answer[B], 16, 17, 26, 27, 28, 30, 31);
            answer[D] = WITHOUT(answer[D], 2, 3, 8);
        }
        if (!shown->avx2) {
            answer[B] = WITHOUT(answer[B], 5);
            answer[C] = WITHOUT(answer[C], 9, 10);
        }
    }
    if (leaf == 7 && part == 1) {
        answer[A] = WITHOUT(answer[A], 21, 23);
        if (!shown->bf16) answer[A] = WITHOUT(answer[A], 4, 5); /* AVX-VNNI, bf16 */
    }
    if (leaf == 0x1d || leaf == 0x1e || leaf == 0x24) memset(answer, 0, 4 * sizeof *answer); /* AMX, AVX10 */
}

static void show_cache(uint32_t *answer) {
    uint32_t kind = answer[A] & 31, level = (answer[A] >> 5) & 7;
    uint32_t kib = level == 2 ? shown->l2_kib : level == 3 ? shown->l3_kib : level == 1 && kind == 1 ? shown->l1_kib : 0;
    if (!kib) return;
    uint32_t ways = level == 3 ? 16 : 8;
    answer[B] = 63 | (ways - 1) << 22; /* lines of 64 bytes */
    answer[C] = kib * 1024 / (64 * ways) - 1;
}

static void show_amd(uint32_t leaf, uint32_t part, uint32_t *answer) {
    if (leaf == 0 || leaf == 0x80000000) {
        memcpy(&answer[B], "Auth", 4), memcpy(&answer[D], "enti", 4), memcpy(&answer[C], "cAMD", 4);
        answer[A] = leaf ? 0x80000020 : answer[A] > 0x10 ? 0x10 : answer[A];
    }
    if (leaf == 1) answer[A] = 0x00a20f10; /* family 25 */
    if (leaf == 4) memset(answer, 0, 4 * sizeof *answer);
    if (leaf == 0x8000001d) ask(4, part, answer), show_cache(answer);
    if (leaf == 0x80000005) answer[C] = answer[D] = shown->l1_kib << 24 | 8 << 16 | 1 << 8 | 64;
    if (leaf == 0x80000006) {
        answer[C] = shown->l2_kib << 16 | 6 << 12 | 1 << 8 | 64;
        answer[D] = shown->l3_kib / 512 << 18 | 9 << 12 | 1 << 8 | 64;
    }
}

static void answer_cpuid(int signal_number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (code[0] != 0x0f || code[1] != 0xa2) { /* not CPUID: a real fault */
        signal(signal_number, SIG_DFL);
        return;
    }
    uint32_t leaf = (uint32_t)registers[REG_RAX], part = (uint32_t)registers[REG_RCX], answer[4];
    ask(leaf, part, answer);
    hide_features(leaf, part, answer);
    if (shown->amd) show_amd(leaf, part, answer);
    else if (leaf == 4) show_cache(answer);
    registers[REG_RAX] = answer[A], registers[REG_RBX] = answer[B];
    registers[REG_RCX] = answer[C], registers[REG_RDX] = answer[D];
    registers[REG_RIP] += 2;
}

__attribute__((constructor(101))) static void begin(void) {
    const char *name = getenv("PROCESSOR");
    for (size_t i = 0; name && i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (!strcmp(name, KNOWN[i].name)) shown = &KNOWN[i];
    if (!shown) return;
    struct sigaction action = {.sa_sigaction = answer_cpuid, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    sigaction(SIGSEGV, &action, NULL);
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0)) _exit(77); /* as test programs say "not here" */
}
