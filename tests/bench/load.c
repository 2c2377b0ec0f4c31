/* A load generator for one HTTP/1.1 server on loopback: it sends ready-made requests and times the answers.
 *
 *   load --port P --file F --connections C (--seconds S | --count N) [--rate R | --burst B]
 *
 * F holds requests one after the other: a 32-bit little-endian length, then that many bytes to send as they are.
 * Each is sent once, in order, so whoever writes F decides that every vote is new and none is refused.
 *
 *   closed loop  C connections, each sends its next request when its answer has come (no pipelining)
 *   --rate R     R requests a second on a fixed timetable; a latency counts from when its request was due,
 *                so that a server that stalls is charged for the requests it held up
 *   --burst B    B requests at once on B open connections, again and again; the time to the last answer of each
 *
 * One thread, one epoll. Prints one JSON object, with its own processor time. Exit 1 when it cannot go on. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 64 * 1024, EVENTS = 256 };

typedef struct {
    int fd;
    int busy;
    const char *unsent;  /* what of the request the socket has not taken */
    size_t unsent_bytes;
    double due;          /* seconds: when the request was sent, or should have been */
    size_t got;
    char answer[ANSWER_BYTES];
} Connection;

static struct {
    int port, connections, burst;
    const char *file;
    double seconds, rate;
    long count;
} option = {.connections = 1, .count = -1};

static const char *next_request, *end_of_requests;
static Connection *connections;
static double *latencies;
static long capacity, sent, answered, refused, in_flight;
static int poller;
static char first_refusal[400];

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void map_requests(void) {
    int fd = open(option.file, O_RDONLY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) fail(option.file);
    next_request = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (next_request == MAP_FAILED) fail("mmap");
    end_of_requests = next_request + status.st_size;
    close(fd);
}

static int more_requests(void) {
    return next_request < end_of_requests && (option.count < 0 || sent < option.count);
}

static void connect_all(int how_many) {
    struct rlimit files = {how_many + 64, how_many + 64};
    struct rlimit have;
    getrlimit(RLIMIT_NOFILE, &have);
    if (have.rlim_cur < files.rlim_cur) {
        if (files.rlim_max < have.rlim_max) files.rlim_max = have.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) < 0) fail("too few file descriptors");
    }
    poller = epoll_create1(0);
    connections = calloc(how_many, sizeof *connections);
    if (poller < 0 || !connections) fail("setup");
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(option.port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < how_many; i++) {
        Connection *c = &connections[i];
        int yes = 1;
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll_ctl");
    }
}

static void watch(Connection *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event) < 0) fail("epoll_ctl");
}

static void flush(Connection *c, int was_waiting) {
    ssize_t n = send(c->fd, c->unsent, c->unsent_bytes, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) fail("send");
    if (n > 0) c->unsent += n, c->unsent_bytes -= n;
    if (c->unsent_bytes) watch(c, EPOLLIN | EPOLLOUT);
    else if (was_waiting) watch(c, EPOLLIN);
}

static void start(Connection *c, double due) {
    uint32_t length;
    memcpy(&length, next_request, sizeof length);
    c->unsent = next_request + sizeof length;
    c->unsent_bytes = length;
    next_request = c->unsent + length;
    c->busy = 1, c->due = due, c->got = 0;
    sent++, in_flight++;
    flush(c, 0);
}

/* Bytes of the whole answer, or 0 while its head has not come. */
static size_t answer_length(Connection *c) {
    char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end + 4 - c->answer;
    *end = 0;
    char *field = strcasestr(c->answer, "\r\ncontent-length:");
    *end = '\r';
    if (!field) { errno = 0; fail("an answer without Content-Length"); }
    return head + strtoul(field + 17, NULL, 10);
}

static void note(Connection *c) {
    if (answered == capacity) {
        capacity = capacity ? capacity * 2 : 1 << 16;
        latencies = realloc(latencies, capacity * sizeof *latencies);
        if (!latencies) fail("memory");
    }
    latencies[answered++] = now() - c->due;
    if (memcmp(c->answer, "HTTP/1.1 200", 12)) {
        size_t kept = c->got < sizeof first_refusal - 1 ? c->got : sizeof first_refusal - 1;
        if (!refused++) memcpy(first_refusal, c->answer, kept);
    }
}

/* Take in what has come; 1 when the answer is complete. */
static int receive(Connection *c) {
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_BYTES - c->got, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) { if (!n) errno = ECONNRESET; fail("the server closed a connection"); }
    c->got += n;
    size_t length = answer_length(c);
    if (!length || c->got < length) return 0;
    note(c);
    c->busy = 0, in_flight--;
    return 1;
}

static double closed_loop(void) {
    double begin = now(), deadline = option.seconds > 0 ? begin + option.seconds : 1e18;
    struct epoll_event events[EVENTS];
    for (int i = 0; i < option.connections && more_requests(); i++) start(&connections[i], now());
    while (in_flight) {
        int n = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            Connection *c = events[i].data.ptr;
            if (c->unsent_bytes && events[i].events & EPOLLOUT) flush(c, 1);
            if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !receive(c)) continue;
            double t = now();
            if (t < deadline && more_requests()) start(c, t);
        }
    }
    return now() - begin;
}

static double open_loop(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event tick = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &tick) < 0) fail("timer");
    double begin = now(), deadline = option.seconds > 0 ? begin + option.seconds : 1e18;
    double due = begin;
    int free_from = 0;
    for (;;) {
        double t = now();
        /* Whatever is due goes out on a free connection; what finds none is late, and counted so. */
        while (due <= t && due < deadline && more_requests()) {
            int tried = 0;
            while (tried < option.connections && connections[free_from].busy) {
                free_from = (free_from + 1) % option.connections;
                tried++;
            }
            if (tried == option.connections) break;
            start(&connections[free_from], due);
            due += 1.0 / option.rate;
        }
        int over = due >= deadline || !more_requests();
        if (over && !in_flight) return now() - begin;
        double wait = due - now();
        struct itimerspec set = {0};
        long long nanoseconds = over ? 0 : wait > 1e-6 ? (long long)(wait * 1e9) : 1000;
        set.it_value.tv_sec = nanoseconds / 1000000000, set.it_value.tv_nsec = nanoseconds % 1000000000;
        timerfd_settime(timer, 0, &set, NULL);
        int n = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            Connection *c = events[i].data.ptr;
            if (!c) { uint64_t expirations; if (read(timer, &expirations, sizeof expirations) < 0) continue; continue; }
            if (c->unsent_bytes && events[i].events & EPOLLOUT) flush(c, 1);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
    }
}

static double bursts(double *times, int *rounds) {
    double begin = now(), total = 0;
    struct epoll_event events[EVENTS];
    *rounds = 0;
    while (more_requests() && (option.seconds <= 0 || now() - begin < option.seconds) && *rounds < 1000) {
        double at = now();
        for (int i = 0; i < option.burst && more_requests(); i++) start(&connections[i], at);
        while (in_flight) {
            int n = epoll_wait(poller, events, EVENTS, 1000);
            for (int i = 0; i < n; i++) {
                Connection *c = events[i].data.ptr;
                if (c->unsent_bytes && events[i].events & EPOLLOUT) flush(c, 1);
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
            }
        }
        times[(*rounds)++] = now() - at;
        total += now() - at;
    }
    return total;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, long n, double p) {
    return n ? sorted[(long)(p * (n - 1) + 0.5)] : 0;
}

static void print_text(const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if ((unsigned char)*text < 32) printf("\\u%04x", *text);
        else putchar(*text);
    }
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) option.port = atoi(value);
        else if (!strcmp(name, "--file")) option.file = value;
        else if (!strcmp(name, "--connections")) option.connections = atoi(value);
        else if (!strcmp(name, "--seconds")) option.seconds = atof(value);
        else if (!strcmp(name, "--count")) option.count = atol(value);
        else if (!strcmp(name, "--rate")) option.rate = atof(value);
        else if (!strcmp(name, "--burst")) option.burst = atoi(value);
        else { errno = 0; fail(name); }
    }
    if (!option.port || !option.file || (option.seconds <= 0 && option.count < 0)) {
        errno = 0;
        fail("need --port, --file and --seconds or --count");
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    map_requests();
    connect_all(option.burst ? option.burst : option.connections);
    static double times[1000];
    int rounds = 0;
    double elapsed = option.burst ? bursts(times, &rounds) : option.rate > 0 ? open_loop() : closed_loop();
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    qsort(latencies, answered, sizeof *latencies, by_size);
    printf("{\"answered\": %ld, \"refused\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f", answered, refused, elapsed,
           own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) * 1e-6);
    printf(", \"p50\": %.6f, \"p90\": %.6f, \"p99\": %.6f, \"max\": %.6f", percentile(latencies, answered, .5),
           percentile(latencies, answered, .9), percentile(latencies, answered, .99), percentile(latencies, answered, 1));
    printf(", \"bursts\": [");
    for (int i = 0; i < rounds; i++) printf("%s%.6f", i ? ", " : "", times[i]);
    printf("], \"first_refusal\": \"");
    print_text(first_refusal);
    printf("\"}\n");
    return 0;
}
