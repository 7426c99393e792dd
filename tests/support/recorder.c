/* Preloaded into a program (LD_PRELOAD), it writes a line to the file RECORD_TO for every name that is looked up ("name example.org"),
   every address beyond the machine's own that is connected to ("address 192.0.2.1") and every file or folder that is opened for
   writing or made ("file /tmp/x"). Libraries in C are seen as well as Python is. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))

static void record(const char *kind, const char *what)
{
    const char *to = getenv("RECORD_TO");
    char line[PATH_MAX + 16];
    int length = snprintf(line, sizeof line, "%s %s\n", kind, what ? what : "");
    int out = to ? syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (out >= 0) {
        if (write(out, line, length) != length) abort();
        close(out);
    }
}

static void record_file(int folder, const char *path)
{
    char link[64], from[PATH_MAX], whole[2 * PATH_MAX];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t length = path[0] == '/' ? 0 : readlink(link, from, sizeof from - 1);
    from[length > 0 ? length : 0] = 0;
    snprintf(whole, sizeof whole, "%s%s%s", from, length > 0 ? "/" : "", path);
    record("file", whole);
}

#define MODE(flags) \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest)

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        MODE(flags); \
        if (WRITES(flags)) record_file(AT_FDCWD, path); \
        return REAL(name)(path, flags, mode); \
    }
#define OPEN_AT(name) \
    int name(int folder, const char *path, int flags, ...) \
    { \
        MODE(flags); \
        if (WRITES(flags)) record_file(folder, path); \
        return REAL(name)(folder, path, flags, mode); \
    }
#define STREAM(name) \
    FILE *name(const char *path, const char *how) \
    { \
        if (strpbrk(how, "wa+")) record_file(AT_FDCWD, path); \
        return REAL(name)(path, how); \
    }

OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)
STREAM(fopen)
STREAM(fopen64)

int mkdir(const char *path, mode_t mode)
{
    record_file(AT_FDCWD, path);
    return REAL(mkdir)(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    record_file(folder, path);
    return REAL(mkdirat)(folder, path, mode);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    record("name", name);
    return REAL(getaddrinfo)(name, service, hints, found);
}

struct hostent *gethostbyname(const char *name)
{
    record("name", name);
    return REAL(gethostbyname)(name);
}

int gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size, struct hostent **found, int *error)
{
    record("name", name);
    return REAL(gethostbyname_r)(name, entry, buffer, size, found, error);
}

int connect(int socket, const struct sockaddr *to, socklen_t length)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (to->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)to)->sin_addr, text, sizeof text);
    if (to->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)to)->sin6_addr, text, sizeof text);
    if (text[0] && strncmp(text, "127.", 4) && strcmp(text, "::1")) record("address", text);
    return REAL(connect)(socket, to, length);
}
