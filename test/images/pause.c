// The process that holds a Pod's namespaces: it sleeps, and reaps what is given to it when the Pod shares one PID
// namespace (shareProcessNamespace makes it init). SIGTERM and SIGINT end it at once, so that a sandbox stops without
// the 30 s of grace.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) {
  (void)signal;
  _exit(0);
}

static void reap(int signal) {
  (void)signal;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction ending = {.sa_handler = end};
  struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  if (sigaction(SIGTERM, &ending, NULL) < 0 || sigaction(SIGINT, &ending, NULL) < 0 ||
      sigaction(SIGCHLD, &reaping, NULL) < 0) {
    return EXIT_FAILURE;
  }
  for (;;) {
    pause();
  }
}
