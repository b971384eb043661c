// The call to the agent's socket.
#pragma once

#include <stddef.h>

#include "pod/cni_wire.h"

struct Call {
  const char* field[causeway::pod::wire::kFields];  // null: not set
  size_t length[causeway::pod::wire::kFields];
  int netns;  // -1: none
};

enum class Outcome {
  Answered,
  NoAgent,  // nobody listens, or the agent went away before it answered: the call may be repeated
  TooSlow,  // the agent did not answer within the patience
};

struct Answer {
  Outcome outcome;
  const char* reason;  // why there is none; static text
  const char* output;
  size_t size;
  int exit_status;
};

// One attempt. `patience` in milliseconds bounds connecting and, again, the answer.
Answer call_agent(const char* socket_path, const Call& call, int patience);

// Milliseconds and nanoseconds of CLOCK_MONOTONIC.
long long now_ns();
inline long now_ms() { return long(now_ns() / 1000000); }
void sleep_ms(long milliseconds);
