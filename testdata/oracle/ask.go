package oracle

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Question asks which packets of a file, in which packet n has the time n seconds, an
// expression selects.
type Question struct {
	File, Expression string
	Plain            bool // without libpcap's optimiser, which has errors of its own
}

// Answer is what tcpdump says.
type Answer struct {
	Refused  string // the reason, "" if the expression is accepted
	Selected map[int]bool
}

// timeout bounds one question. libpcap's protochain can loop for ever.
const timeout = time.Minute

// Ask asks many questions, on all processors.
func Ask(t *testing.T, questions []Question) []Answer {
	t.Helper()
	NeedTcpdump(t)
	answers := make([]Answer, len(questions))
	errs := make([]error, len(questions))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := range next {
				answers[n], errs[n] = ask(t.Context(), questions[n])
			}
		})
	}
	for n := range questions {
		next <- n
	}
	close(next)
	workers.Wait()
	for n, err := range errs {
		if err != nil {
			t.Fatalf("tcpdump %q: %v", questions[n].Expression, err)
		}
	}
	return answers
}

func ask(ctx context.Context, q Question) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := []string{"-r", q.File, "-w", "-", "--", q.Expression}
	if q.Plain {
		args = append([]string{"-O"}, args...)
	}
	cmd := exec.CommandContext(ctx, "tcpdump", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	a := Answer{Selected: map[int]bool{}}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case strings.Contains(stderr.String(), "expression rejects all packets"):
		return a, nil // an answer of libpcap's optimiser, no refusal
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		a.Refused = strings.TrimPrefix(lines[len(lines)-1], "tcpdump: ")
		return a, nil
	case err != nil:
		return a, err
	}
	a.Selected = times(out)
	return a, nil
}
