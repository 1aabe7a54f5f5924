/* Stands in for NCCL and the CUDA runtime where there is no GPU: the "device" is memory of the process, the sums go
   through a file that all ranks map. The functions that src/collective/nccl/library.rs calls, with the types of nccl.h
   and cuda_runtime_api.h. As with the real ones, a sum is only begun by its call, and is never there while a rank is
   missing. Built by tests/mpi.sh. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_RANKS = 8, SLOT = 1 << 24, NOT_READY = 600, INVALID = 1 };

typedef struct { char internal[128]; } ncclUniqueId;
struct shared { atomic_int here; atomic_int brought[MOST_RANKS], taken[MOST_RANKS]; float slot[MOST_RANKS][SLOT]; };
struct comm { struct shared *shared; int rank, ranks, sums; float *at; size_t count; int step; };

static struct comm *pending; /* the stream: at most one sum is in it */
static __thread int device = -1;

int ncclGetUniqueId(ncclUniqueId *id) {
    const char *folder = getenv("TMPDIR");
    snprintf(id->internal, sizeof id->internal, "%s/stand-in-%d", folder ? folder : "/tmp", (int)getpid());
    return 0;
}

int ncclCommInitRank(struct comm **made, int ranks, ncclUniqueId id, int rank) {
    if (device < 0 || ranks > MOST_RANKS || rank < 0 || rank >= ranks) return INVALID;
    int file = open(id.internal, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct shared))) return INVALID;
    struct comm *comm = calloc(1, sizeof *comm);
    comm->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    comm->rank = rank, comm->ranks = ranks;
    atomic_fetch_add(&comm->shared->here, 1);
    while (atomic_load(&comm->shared->here) < ranks) usleep(100);
    if (rank == 0) unlink(id.internal);
    *made = comm;
    return 0;
}

int ncclAllReduce(const void *from, void *to, size_t count, int type, int operation, struct comm *comm, void *stream) {
    if (from != to || type != 7 || operation != 0 || count > SLOT || !stream || pending || device < 0) return INVALID;
    /* A rank that is killed while the others wait for their GPUs. */
    const char *dies = getenv("STAND_IN_DIES");
    if (dies && atoi(dies) == comm->rank && comm->sums == 3) kill(getpid(), SIGKILL);
    comm->at = to, comm->count = count, comm->step = 0, comm->sums++;
    pending = comm;
    return 0;
}

static int all(struct comm *comm, atomic_int *marks, int sums) {
    for (int rank = 0; rank < comm->ranks; rank++)
        if (atomic_load(&marks[rank]) < sums) return 0;
    return 1;
}

int cudaStreamQuery(void *stream) {
    struct comm *comm = pending;
    if (!stream || device < 0) return INVALID;
    if (!comm) return 0;
    struct shared *shared = comm->shared;
    if (comm->step == 0) {
        if (!all(comm, shared->taken, comm->sums - 1)) return NOT_READY;
        memcpy(shared->slot[comm->rank], comm->at, comm->count * sizeof(float));
        atomic_store(&shared->brought[comm->rank], comm->sums);
        comm->step = 1;
    }
    if (!all(comm, shared->brought, comm->sums)) return NOT_READY;
    for (size_t at = 0; at < comm->count; at++) {
        float sum = shared->slot[0][at];
        for (int rank = 1; rank < comm->ranks; rank++) sum += shared->slot[rank][at];
        comm->at[at] = sum;
    }
    atomic_store(&shared->taken[comm->rank], comm->sums);
    pending = NULL;
    return 0;
}

int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
    if (!stream || pending || (kind != 1 && kind != 2) || device < 0) return INVALID;
    memcpy(to, from, bytes);
    return 0;
}

int ncclCommGetAsyncError(struct comm *comm, int *state) { return *state = 0, comm ? 0 : INVALID; }
int ncclCommAbort(struct comm *comm) { return pending = NULL, free(comm), 0; }
int ncclCommDestroy(struct comm *comm) { return pending ? INVALID : (free(comm), 0); }
const char *ncclGetErrorString(int code) { return code == INVALID ? "invalid" : "unknown"; }
const char *ncclGetLastError(struct comm *comm) { return (void)comm, "the stand-in refuses"; }
int cudaGetDeviceCount(int *count) { return *count = MOST_RANKS, 0; }
int cudaSetDevice(int ordinal) { return device = ordinal, 0; }
int cudaMalloc(void **made, size_t bytes) { return (*made = malloc(bytes)) ? 0 : 2; }
int cudaFree(void *memory) { return free(memory), 0; }
int cudaStreamCreateWithFlags(void **made, unsigned flags) { return flags == 1 ? (*made = malloc(1), 0) : INVALID; }
int cudaStreamSynchronize(void *stream) { return stream && !pending ? 0 : INVALID; }
int cudaStreamDestroy(void *stream) { return free(stream), 0; }
const char *cudaGetErrorString(int code) { return code == INVALID ? "invalid argument" : "unknown"; }
