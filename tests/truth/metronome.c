/* The metronome again, in C: for more streams than Python sends on one core.
 *
 * It speaks as `python -P -m truth` does (the same options, the same line at the start, the same
 * `/truth`), and knows what the benchmarks ask and nothing else: POST …/chat/completions with
 * stream and usage, GET and DELETE /truth. One thread, one epoll set, a heap of what is due. Every
 * body is one send(), its stamp is taken just before it, and no beat drifts.
 *
 *     cc -O2 -o metronome metronome.c -lm && ./metronome --until-eof
 *
 * Linux only. It trusts its clients: it is a bench's own, and listens on loopback alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define MOST_CONNECTIONS 8192
#define CAPACITY 20000
#define INBOX 16384
#define TEXTS 16
#define MOST_SENDS 64 /* between two looks at the sockets */
#define BUCKETS 640   /* as truth.log.Histogram has them */

static const char *const WORDS[TEXTS] = {
    " the", " sea", " lies", " calm", " under", " a", " grey", " and", " patient", " sky",
    " where", " gulls", " drift", " over", " slow", " water"};

static int64_t clock_ns(clockid_t which) {
    struct timespec at;
    clock_gettime(which, &at);
    return at.tv_sec * NS + at.tv_nsec;
}
static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* ---- options ---- */
static int most_tokens = 64;
static double rate = 50.0, first_low = 0.1, first_high = 0.3;
static int64_t beat_ns, started_ns, created;

static uint64_t seed = 1;
static uint64_t draw(void) { /* splitmix64 */
    uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* ---- what was done: streams that ended, and how late we were ourselves ---- */
typedef struct {
    char request_id[130], response_id[40];
    int64_t read_ns, headers_ns, ended_ns;
    int count, sent, first_of_connection, n;
    const char *ending;
    int64_t stamps[]; /* role, tokens, finish, usage, end */
} Score;

static Score *scores[CAPACITY];
static int64_t last_number, cleared, kept_from, begun, first_arrival_ns;

typedef struct {
    int64_t counts[BUCKETS], most;
} Histogram;
static Histogram late, sends;

static void count_ns(Histogram *in, int64_t duration) {
    if (duration < 0) duration = 0;
    if (duration > in->most) in->most = duration;
    int bits = duration ? 64 - __builtin_clzll((uint64_t)duration) : 0;
    int shift = bits > 5 ? bits - 5 : 0;
    int64_t bucket = ((int64_t)shift << 4) + (duration >> shift);
    in->counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static int64_t quantile_ns(const Histogram *in, int64_t n, double share) {
    int64_t below = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        below += in->counts[bucket];
        if (in->counts[bucket] && below >= n * share) {
            int shift = (bucket >> 4) - 1 > 0 ? (bucket >> 4) - 1 : 0;
            int64_t end = ((int64_t)(bucket - shift * 16 + 1) << shift) - 1;
            return end < in->most ? end : in->most;
        }
    }
    return 0;
}

/* ---- text that grows ---- */
typedef struct {
    char *data;
    size_t size, room;
} Text;

static void add(Text *to, const char *format, ...) {
    va_list given;
    if (to->room - to->size < 4096) {
        to->room = to->room * 2 + 8192;
        if (!(to->data = realloc(to->data, to->room))) die("realloc");
    }
    va_start(given, format);
    to->size += (size_t)vsnprintf(to->data + to->size, to->room - to->size, format, given);
    va_end(given);
}

static void add_spread(Text *to, const char *name, const Histogram *of) {
    int64_t n = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) n += of->counts[bucket];
    add(to, ",\"%s\":{\"n\":%lld,\"p50\":%lld,\"p99\":%lld,\"max\":%lld}", name, (long long)n,
        (long long)quantile_ns(of, n, 0.5), (long long)quantile_ns(of, n, 0.99),
        (long long)of->most);
}

static void add_score(Text *to, const Score *of) {
    add(to,
        "{\"n\":%d,\"request_id\":\"%s\",\"response_id\":\"%s\",\"path\":\"/v1/chat/completions\","
        "\"model\":\"metronome\",\"read_ns\":%lld,\"headers_ns\":%lld,\"ended_ns\":%lld,"
        "\"status\":200,\"ending\":\"%s\",\"output_tokens\":%d,\"first_of_connection\":%s,"
        "\"finish_reason\":\"length\",\"chunks_ns\":[",
        of->n, of->request_id, of->response_id, (long long)of->read_ns,
        (long long)of->headers_ns, (long long)of->ended_ns, of->ending, of->count,
        of->first_of_connection ? "true" : "false");
    for (int at = 0; at < of->sent; at++)
        add(to, at ? ",%lld" : "%lld", (long long)of->stamps[at]);
    add(to, "],\"chunk_tokens\":[");
    for (int at = 0; at < of->sent; at++)
        add(to, at ? ",%d" : "%d", at > 0 && at <= of->count);
    add(to, "]}");
}

static Text page(int64_t since) {
    Text made = {0};
    add(&made, "{\"started_ns\":%lld,\"last\":%lld,\"dropped\":%lld,\"begun\":%lld,"
               "\"first_arrival_ns\":",
        (long long)started_ns, (long long)last_number, (long long)(kept_from - cleared),
        (long long)begun);
    if (first_arrival_ns) add(&made, "%lld", (long long)first_arrival_ns);
    else add(&made, "null");
    add(&made, ",\"arrival_clock\":\"kernel\"");
    add_spread(&made, "late_ns", &late);
    add_spread(&made, "send_ns", &sends);
    add(&made, ",\"records\":[");
    int64_t from = since > kept_from ? since : kept_from;
    for (int64_t at = from; at < last_number; at++) {
        if (at > from) add(&made, ",");
        add_score(&made, scores[at % CAPACITY]);
    }
    add(&made, "]}");
    return made;
}

static void keep(Score *score, const char *ending, int64_t at_ns) {
    score->ending = ending;
    score->ended_ns = at_ns;
    if (last_number - kept_from == CAPACITY) free(scores[kept_from++ % CAPACITY]);
    scores[last_number % CAPACITY] = score;
    score->n = (int)++last_number;
}

static void forget(void) {
    while (kept_from < last_number) free(scores[kept_from++ % CAPACITY]);
    cleared = last_number;
    begun = first_arrival_ns = 0;
    memset(&late, 0, sizeof late);
    memset(&sends, 0, sizeof sends);
}

/* ---- bodies: three pieces, of which the one in the middle is the stream's id ---- */
typedef struct {
    char before[64], after[512];
    int before_size, after_size;
} Body;
static Body role_body, token_bodies[TEXTS], finish_body, usage_body;
static char end_body[64];

static void prepare(Body *body, const char *choices, const char *usage) {
    char rest[400];
    int rest_size = snprintf(rest, sizeof rest,
        "\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":\"metronome\","
        "\"choices\":[%s],\"usage\":%s}\n\n", (long long)created, choices, usage);
    const char *begin = "data: {\"id\":\"";
    int size = (int)strlen(begin) + 33 + rest_size;
    body->before_size = snprintf(body->before, sizeof body->before, "%x\r\n%s", size, begin);
    body->after_size = snprintf(body->after, sizeof body->after, "%s\r\n", rest);
}

static void prepare_all(void) {
    const char *shape =
        "{\"index\":0,\"delta\":%s,\"logprobs\":null,\"finish_reason\":%s}";
    char delta[64], choice[256];
    snprintf(choice, sizeof choice, shape,
             "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null");
    prepare(&role_body, choice, "null");
    for (int at = 0; at < TEXTS; at++) {
        snprintf(delta, sizeof delta, "{\"content\":\"%s\"}", WORDS[at]);
        snprintf(choice, sizeof choice, shape, delta, "null");
        prepare(&token_bodies[at], choice, "null");
    }
    snprintf(choice, sizeof choice, shape, "{}", "\"length\"");
    prepare(&finish_body, choice, "null");
    char usage[160];
    snprintf(usage, sizeof usage,
             "{\"prompt_tokens\":8,\"completion_tokens\":%d,\"total_tokens\":%d,"
             "\"prompt_tokens_details\":{\"cached_tokens\":0}}", most_tokens, most_tokens + 8);
    prepare(&usage_body, "", usage);
    snprintf(end_body, sizeof end_body, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

/* ---- connections and the heap of what is due ---- */
typedef struct {
    int fd, requests, place; /* place: in the heap, -1 where it waits for nothing */
    int64_t arrived_ns, free_ns, first_ns, due_ns;
    Score *score;
    Text outbox;
    size_t outbox_sent;
    int inbox_size;
    char inbox[INBOX + 1];
} Connection;

static Connection *heap[MOST_CONNECTIONS];
static int waiting, epoll_fd, listener, connections;

static void put(int at, Connection *one) { heap[at] = one; one->place = at; }
static void rise(int at) {
    Connection *one = heap[at];
    for (; at && heap[(at - 1) / 2]->due_ns > one->due_ns; at = (at - 1) / 2)
        put(at, heap[(at - 1) / 2]);
    put(at, one);
}
static void sink(int at) {
    Connection *one = heap[at];
    for (int child; (child = 2 * at + 1) < waiting; at = child) {
        if (child + 1 < waiting && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= one->due_ns) break;
        put(at, heap[child]);
    }
    put(at, one);
}
static void wait_for(Connection *one) { put(waiting++, one); rise(waiting - 1); }
static void wait_no_more(Connection *one) {
    int at = one->place;
    if (at < 0) return;
    one->place = -1;
    if (at == --waiting) return;
    Connection *moved = heap[waiting];
    put(at, moved);
    rise(at);
    sink(moved->place);
}

static void drop(Connection *one) {
    wait_no_more(one);
    if (one->score) keep(one->score, "disconnected", now_ns());
    close(one->fd);
    free(one->outbox.data);
    free(one);
    connections--;
}

static void expect(Connection *one, uint32_t events) {
    struct epoll_event wanted = {.events = events, .data.ptr = one};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, one->fd, &wanted)) die("epoll_ctl");
}

/* Send at once, or keep what the client has no room for; -1 where the connection broke. */
static int send_all(Connection *one, const char *data, size_t size) {
    ssize_t sent = send(one->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    if (sent < 0) sent = 0;
    if ((size_t)sent == size) return 0;
    one->outbox.size = one->outbox_sent = 0;
    one->outbox.data = realloc(one->outbox.data, one->outbox.room = size - (size_t)sent);
    if (!one->outbox.data) die("realloc");
    memcpy(one->outbox.data, data + sent, one->outbox.size = size - (size_t)sent);
    expect(one, EPOLLIN | EPOLLOUT);
    return 0;
}

static int send_whole(Connection *one, Text body) {
    char head[128];
    int size = snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
        body.size);
    char *answer = malloc((size_t)size + body.size);
    if (!answer) die("malloc");
    memcpy(answer, head, (size_t)size);
    memcpy(answer + size, body.data, body.size);
    int failed = send_all(one, answer, (size_t)size + body.size);
    free(answer);
    free(body.data);
    return failed;
}

static void set_due(Connection *one) {
    int past = one->score->sent - 1; /* tokens sent; what follows the last comes a beat after it */
    if (past > one->score->count) past = one->score->count;
    one->due_ns = one->first_ns + past * beat_ns;
}

/* Send the next body of a stream; -1 where the connection broke. */
static int send_next(Connection *one) {
    Score *score = one->score;
    int at = score->sent, count = score->count, is_end = at == count + 3;
    const Body *body = at == 0 ? &role_body
                       : at <= count ? &token_bodies[(at + one->fd) % TEXTS]
                       : at == count + 1 ? &finish_body : &usage_body;
    char data[1024];
    size_t size = strlen(end_body);
    if (is_end) memcpy(data, end_body, size);
    else {
        memcpy(data, body->before, (size_t)body->before_size);
        memcpy(data + body->before_size, score->response_id, 33);
        memcpy(data + body->before_size + 33, body->after, (size_t)body->after_size);
        size = (size_t)(body->before_size + 33 + body->after_size);
    }
    int64_t stamp = now_ns();
    if (send_all(one, data, size)) return -1;
    count_ns(&sends, now_ns() - stamp);
    if (at > 0 && at <= count) count_ns(&late, stamp - one->due_ns);
    score->stamps[score->sent++] = stamp;
    if (is_end) {
        keep(score, "streamed", stamp);
        one->score = NULL;
        one->free_ns = stamp;
    } else set_due(one);
    return 0;
}

static int begin(Connection *one, const char *head, const char *body) {
    Score *score = calloc(1, sizeof *score + ((size_t)most_tokens + 4) * sizeof(int64_t));
    if (!score) die("calloc");
    const char *given = strcasestr(head, "\r\nx-request-id: "), *cap = strstr(body, "max_tokens\":");
    snprintf(score->response_id, sizeof score->response_id, "chatcmpl-%012llx%012llx",
             (unsigned long long)(draw() >> 16), (unsigned long long)(draw() >> 16));
    if (given) sscanf(given, "\r\n%*[^:]: %128[0-9A-Za-z_-]", score->request_id);
    else snprintf(score->request_id, sizeof score->request_id, "req_%016llx",
                  (unsigned long long)draw());
    score->count = cap ? atoi(cap + 12) : most_tokens;
    if (score->count < 1 || score->count > most_tokens) score->count = most_tokens;
    score->read_ns = one->arrived_ns;
    score->first_of_connection = !one->requests++;
    one->score = score;
    static int64_t streams;
    double turn = fmod((double)++streams * 0.6180339887498949, 1.0);
    double spread = (double)(draw() >> 11) / 9007199254740992.0;
    int64_t earliest = score->read_ns > one->free_ns ? score->read_ns : one->free_ns;
    earliest += (int64_t)((first_low + (first_high - first_low) * spread) * NS);
    int64_t ahead = ((int64_t)(turn * beat_ns) - earliest) % beat_ns;
    one->first_ns = earliest + (ahead < 0 ? ahead + beat_ns : ahead);
    if (!begun++) first_arrival_ns = score->read_ns;
    char answer[512];
    int size = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        "cache-control: no-cache\r\ntransfer-encoding: chunked\r\nx-request-id: %s\r\n\r\n",
        score->request_id);
    score->headers_ns = now_ns();
    if (send_all(one, answer, (size_t)size) || send_next(one)) return -1;
    wait_for(one);
    return 0;
}

/* Answer a request that is there whole; -1 where the connection is to be dropped. */
static int take_request(Connection *one) {
    one->inbox[one->inbox_size] = 0;
    char *end = strstr(one->inbox, "\r\n\r\n");
    if (one->score || one->outbox.size || !end) return 0;
    const char *length = strcasestr(one->inbox, "\r\ncontent-length:");
    int size = (int)(end - one->inbox) + 4;
    int whole = size + (length && length < end ? atoi(length + 17) : 0);
    if (whole > INBOX) return -1;
    if (one->inbox_size < whole) return 0;
    int failed = -1;
    if (!strncmp(one->inbox, "POST ", 5)) failed = begin(one, one->inbox, one->inbox + size);
    else if (strstr(one->inbox, " /truth")) {
        const char *since = strstr(one->inbox, "since=");
        Text made = page(since && since < end ? strtoll(since + 6, NULL, 10) : 0);
        if (*one->inbox == 'D') forget();
        failed = send_whole(one, made);
    }
    one->inbox_size -= whole;
    memmove(one->inbox, one->inbox + whole, (size_t)one->inbox_size);
    return failed;
}

static int read_from(Connection *one) {
    char control[64];
    struct iovec into = {one->inbox + one->inbox_size, (size_t)(INBOX - one->inbox_size)};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t size = recvmsg(one->fd, &message, 0);
    if (size < 0) return errno == EAGAIN ? 0 : -1;
    if (size == 0) return -1;
    one->arrived_ns = now_ns();
    int64_t offset = clock_ns(CLOCK_REALTIME) - one->arrived_ns;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(part), sizeof at);
            one->arrived_ns = at.tv_sec * NS + at.tv_nsec - offset;
        }
    one->inbox_size += (int)size;
    return take_request(one);
}

static int flush(Connection *one) {
    ssize_t sent = send(one->fd, one->outbox.data + one->outbox_sent,
                        one->outbox.size - one->outbox_sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? 0 : -1;
    one->outbox_sent += (size_t)sent;
    if (one->outbox_sent < one->outbox.size) return 0;
    one->outbox.size = 0;
    expect(one, EPOLLIN);
    if (one->score && one->place < 0) wait_for(one);
    return one->score ? 0 : take_request(one);
}

static void accept_all(void) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        Connection *one = connections < MOST_CONNECTIONS ? calloc(1, sizeof *one) : NULL;
        if (!one) {
            close(fd);
            continue;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        one->fd = fd;
        one->place = -1;
        connections++;
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = one};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &wanted)) die("epoll_ctl");
    }
}

/* Send what is due; return when something is again, 0 for at once, -1 for never. */
static int64_t play(void) {
    for (int turn = 0; turn < MOST_SENDS; turn++) {
        if (!waiting) return -1;
        Connection *one = heap[0];
        if (one->due_ns > now_ns()) return one->due_ns;
        wait_no_more(one);
        if (send_next(one)) drop(one);
        else if (one->score && !one->outbox.size) wait_for(one);
        else if (!one->score && take_request(one)) drop(one);
    }
    return 0;
}

int main(int argc, char **argv) {
    int until_eof = 0, port = 0;
    for (int at = 1; at < argc; at++) {
        if (!strcmp(argv[at], "--until-eof")) until_eof = 1;
        else if (at + 1 >= argc) return 2;
        else if (!strcmp(argv[at], "--tokens")) most_tokens = atoi(argv[++at]);
        else if (!strcmp(argv[at], "--rate")) rate = atof(argv[++at]);
        else if (!strcmp(argv[at], "--seed")) seed = strtoull(argv[++at], NULL, 10);
        else if (!strcmp(argv[at], "--port")) port = atoi(argv[++at]);
        else if (!strcmp(argv[at], "--first-after") && at + 2 < argc) {
            first_low = atof(argv[++at]);
            first_high = atof(argv[++at]);
        } else return 2;
    }
    if (most_tokens < 1 || most_tokens > 16384 || rate <= 0) return 2;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    started_ns = now_ns();
    created = clock_ns(CLOCK_REALTIME) / NS;
    beat_ns = (int64_t)llround(NS / rate);
    prepare_all();

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* The kernel stamps nothing that came before the first socket asked. */
    setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) die("listen");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    static int of_input, of_listener; /* only their addresses count */
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = &of_listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &wanted);
    wanted.data.ptr = &of_input;
    if (until_eof) epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &wanted);
    printf("{\"base_url\":\"http://127.0.0.1:%d\",\"arrival_clock\":\"kernel\"}\n",
           ntohs(address.sin_port));
    fflush(stdout);

    struct epoll_event ready[256];
    for (;;) {
        int64_t until = play(), left = until < 0 ? -1 : until - now_ns();
        struct timespec rest = {left > 0 ? left / NS : 0, left > 0 ? left % NS : 0};
        int found = epoll_pwait2(epoll_fd, ready, 256, until < 0 ? NULL : &rest, NULL);
        if (found < 0 && errno != EINTR) die("epoll_pwait2");
        for (int at = 0; at < found; at++) {
            Connection *one = ready[at].data.ptr;
            char ignored[4096];
            if (ready[at].data.ptr == &of_listener) accept_all();
            else if (ready[at].data.ptr == &of_input) {
                if (read(0, ignored, sizeof ignored) <= 0) return 0;
            } else if (((ready[at].events & EPOLLOUT) && one->outbox.size && flush(one)) ||
                       ((ready[at].events & ~(uint32_t)EPOLLOUT) && read_from(one)))
                drop(one);
        }
    }
}
