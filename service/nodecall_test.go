package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv"
	"ackbox/model"
)

// callable is a node that can be asked, by its id.
func callable(t *testing.T, store *model.Store, client redis.UniversalClient) *NodeCalls {
	t.Helper()
	ids, err := NewIDs(t.Context(), store, -1, "test", time.Now, quiet)
	must(t, err)
	t.Cleanup(func() { must(t, ids.Release(context.Background())) })
	c := NewNodeCalls(store, client, "here", fmt.Sprint("process-", ids.Node()), ids.Node, quiet)
	t.Cleanup(c.Stop)
	c.Handle("double", func(_ context.Context, payload json.RawMessage) (any, error) {
		var n int
		if err := json.Unmarshal(payload, &n); err != nil {
			return nil, fmt.Errorf("not a number: %w", err)
		}
		return map[string]any{"twice": 2 * n, "by": c.Node()}, nil
	})
	return c
}

type doubled struct {
	Twice int          `json:"twice"`
	By    model.NodeID `json:"by"`
}

// TestNodeCalls: all nodes answer, or those that are named; who does not is named; errors keep their
// code, and what must not travel does not.
func TestNodeCalls(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	server := testenv.StartRedis(t)
	zero, one, two := callable(t, store, redisClient(t, server.URL())), callable(t, store, redisClient(t, server.URL())), callable(t, store, redisClient(t, server.URL()))
	all := []model.NodeID{zero.Node(), one.Node(), two.Node()}

	var told []Told[doubled]
	eventually(t, "all three to be heard", func() bool { // subscribing takes a moment
		list, missing, err := AskAll[doubled](within(t), one, "double", 21)
		must(t, err)
		told = list
		return len(missing) == 0
	})
	for i, a := range told {
		equal(t, "node", a.Node, all[i])
		equal(t, "answer", a.Value, doubled{42, all[i]})
	}
	equal(t, "answers", len(told), 3)

	answer, err := AskOne[doubled](within(t), zero, "double", 4, two.Node())
	must(t, err)
	equal(t, "the one that was asked", answer, doubled{8, two.Node()})

	two.Handle("refuse", func(context.Context, json.RawMessage) (any, error) {
		return nil, fmt.Errorf("deep inside: %w", &model.Error{Code: model.CodeNotFound, Detail: "no such job", Cause: errors.New("dsn with a password")})
	})
	two.Handle("break", func(context.Context, json.RawMessage) (any, error) { panic("secret") })
	two.Handle("flood", func(context.Context, json.RawMessage) (any, error) { return strings.Repeat("x", maxNodeAnswer), nil })
	for kind, code := range map[string]model.Code{"refuse": model.CodeNotFound, "break": model.CodeInternal, "flood": model.CodeInternal, "unheard of": model.CodeUnavailable} {
		for _, asker := range []*NodeCalls{one, two} { // over Redis and without
			_, err := AskOne[doubled](within(t), asker, kind, nil, two.Node())
			wantError(t, err, code)
			if text := err.Error(); strings.Contains(text, "secret") || strings.Contains(text, "password") {
				t.Errorf("%s: the answer tells %q", kind, text)
			}
		}
	}
	_, missing, err := AskAll[doubled](within(t), one, "refuse", nil) // an error is no answer
	must(t, err)
	equal(t, "missing", fmt.Sprint(missing), fmt.Sprint(all))

	_, _, err = one.Ask(within(t), "double", strings.Repeat("x", maxNodePayload))
	if err == nil {
		t.Error("a question without bound was put")
	}
}

// TestNodeCallsMissing: a node that lives and says nothing is waited for a bounded time and named; one that has stopped
// is not waited for; without Redis a node speaks for itself.
func TestNodeCallsMissing(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	server := testenv.StartRedis(t)
	here := callable(t, store, redisClient(t, server.URL()))
	dead, err := NewIDs(t.Context(), store, -1, "test", time.Now, quiet) // it has a lease and no process
	must(t, err)
	t.Cleanup(func() { must(t, dead.Release(context.Background())) })
	stopped, err := NewIDs(t.Context(), store, -1, "test", time.Now, quiet)
	must(t, err)
	must(t, stopped.Release(t.Context()))

	list, missing, err := AskAll[doubled](within(t), here, "double", 1)
	must(t, err)
	equal(t, "answers", len(list), 1)
	equal(t, "missing", fmt.Sprint(missing), fmt.Sprint([]model.NodeID{dead.Node()}))

	_, err = AskOne[doubled](within(t), here, "double", 1, stopped.Node())
	wantError(t, err, model.CodeUnavailable)

	server.Kill()
	list, missing, err = AskAll[doubled](within(t), here, "double", 1)
	must(t, err)
	if len(list) != 1 || !slices.Contains(missing, dead.Node()) {
		t.Errorf("without Redis: %v, missing %v", list, missing)
	}
	server.Start() // the subscription comes back by itself
	back := callable(t, store, redisClient(t, server.URL()))
	eventually(t, "the node to be asked again", func() bool {
		answers, _, err := back.Ask(within(t), "double", 1, here.Node())
		must(t, err)
		return len(answers) == 1
	})

	alone := callable(t, store, nil)
	list, missing, err = AskAll[doubled](within(t), alone, "double", 1)
	must(t, err)
	equal(t, "answers of itself", len(list), 1)
	equal(t, "others", len(missing), 3)
}
