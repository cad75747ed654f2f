package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

const (
	// limitPatience is how long a request waits for Redis to count it; then this node's count
	// is enough.
	limitPatience = 250 * time.Millisecond
	// limitProbe is how often a Redis that did not answer is asked whether it is back; no
	// request asks meanwhile.
	limitProbe    = time.Second
	limitBatch    = 256
	limitCapacity = 4_096
)

// sharedLimits counts in Redis what the nodes take together. Questions are pipelined: what
// piled up while one round trip was under way goes in the next.
type sharedLimits struct {
	client   redis.UniversalClient
	prefix   string
	patience time.Duration
	now      func() time.Duration
	queue    *batcher[*question]
	down     atomic.Bool
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// question asks Redis about one bucket: one is taken if it is exact, and what was taken
// here before is told.
type question struct {
	limit  *limited
	bucket *bucket
	key    string

	refused int // index of the rate that refused, -1 for none
	wait    time.Duration
	failed  bool
	done    chan struct{} // closed when the three above are read
}

func newSharedLimits(client redis.UniversalClient, installation string, patience time.Duration, now func() time.Duration) *sharedLimits {
	if patience == 0 {
		patience = limitPatience
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &sharedLimits{client: client, prefix: "ackbox:" + installation + ":limit:", patience: patience, now: now, cancel: cancel}
	s.queue = newBatcher(1, limitBatch, limitCapacity, s.run)
	s.done.Go(func() { s.probe(ctx) })
	return s
}

func (s *sharedLimits) stop() {
	s.queue.stop()
	s.cancel()
	s.done.Wait()
}

// probe looks for Redis to come back.
func (s *sharedLimits) probe(ctx context.Context) {
	for pause(ctx, limitProbe) == nil {
		if !s.down.Load() {
			continue
		}
		asked := time.Now()
		if AskRedis(ctx, s.client) == nil && time.Since(asked) < s.patience {
			s.down.Store(false)
		}
	}
}

// ask waits for the answers; false when this node's count has to be enough.
func (s *sharedLimits) ask(ctx context.Context, questions []*question) bool {
	for i, q := range questions {
		if s.down.Load() || s.queue.put(q) != nil {
			for _, rest := range questions[i:] {
				rest.giveBack(0)
			}
			return false
		}
	}
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	for _, q := range questions {
		select {
		case <-q.done:
			if q.failed {
				return false
			}
		case <-timer.C:
			s.away()
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// tell passes on what was taken, for nobody who waits.
func (s *sharedLimits) tell(q *question) {
	if s.down.Load() || s.queue.put(q) != nil {
		q.giveBack(0)
	}
}

func (s *sharedLimits) away() {
	metrics.redisErrors.Inc()
	s.down.Store(true)
}

// counted is one rate of a question in a round trip.
type counted struct {
	question *question
	rate     int
	n        int // to take: all, or, of what is only told, as much as there is
	exact    bool
	record   *recorded
	limiter  *redis_rate.Limiter
}

// run answers a batch in one round trip (and another, right after Redis has started, to
// send it the script).
func (s *sharedLimits) run(batch []*question) {
	defer func() {
		for _, q := range batch {
			close(q.done)
		}
	}()
	if s.down.Load() { // the ones before waited in vain
		for _, q := range batch {
			q.giveBack(0)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	pipe := s.client.Pipeline()
	var list []*counted
	told := make([]int, len(batch))
	for i, q := range batch {
		q.bucket.mu.Lock()
		told[i], q.bucket.untold = q.bucket.untold, 0
		q.bucket.mu.Unlock()
		for rate := range q.limit.rates {
			if told[i] > 0 {
				list = append(list, &counted{question: q, rate: rate, n: told[i]})
			}
			if q.limit.exact {
				list = append(list, &counted{question: q, rate: rate, n: 1, exact: true})
			}
		}
	}
	for _, c := range list {
		c.record = &recorded{UniversalClient: s.client}
		c.limiter = redis_rate.NewLimiter(c.record)
		if _, err := s.count(ctx, c); !errors.Is(err, errRecorded) {
			s.fail(batch, told)
			return
		}
		if err := pipe.Process(ctx, c.record.command); err != nil {
			s.fail(batch, told)
			return
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		s.fail(batch, told)
		return
	}
	for _, c := range list {
		c.record.answered = true
		result, err := s.count(ctx, c)
		if err != nil {
			s.fail(batch, told)
			return
		}
		s.learn(c, result)
	}
	for _, q := range batch {
		q.bucket.mu.Lock()
		q.bucket.telling = false
		q.bucket.mu.Unlock()
	}
}

// count is redis_rate's word about one rate.
func (s *sharedLimits) count(ctx context.Context, c *counted) (*redis_rate.Result, error) {
	r := c.question.limit.rates[c.rate]
	key := fmt.Sprintf("%s%s:%d:%s", s.prefix, c.question.limit.name, r.Per.Milliseconds(), c.question.key)
	limit := redis_rate.Limit{Rate: r.N, Burst: r.N, Period: r.Per}
	if c.exact {
		return c.limiter.AllowN(ctx, key, limit, c.n) //nolint:wrapcheck // counted as a failure, not told
	}
	return c.limiter.AllowAtMost(ctx, key, limit, c.n) //nolint:wrapcheck // as above
}

// learn takes what all nodes have taken together.
func (s *sharedLimits) learn(c *counted, result *redis_rate.Result) {
	q := c.question
	now := s.now()
	q.bucket.mu.Lock()
	defer q.bucket.mu.Unlock()
	if c.exact && result.Allowed == 0 {
		if result.RetryAfter > q.wait {
			q.refused, q.wait = c.rate, result.RetryAfter
		}
		q.bucket.fullAt[c.rate] = now + result.ResetAfter // the one that was taken here is given back
		return
	}
	q.bucket.fullAt[c.rate] = max(q.bucket.fullAt[c.rate], now+result.ResetAfter)
}

// fail goes on without Redis; what it was not told is told later.
func (s *sharedLimits) fail(batch []*question, told []int) {
	s.away()
	for i, q := range batch {
		q.giveBack(told[i])
	}
}

// giveBack keeps for later what Redis was not told.
func (q *question) giveBack(untold int) {
	q.failed = true
	if q.limit.exact {
		untold++
	}
	q.bucket.mu.Lock()
	q.bucket.untold += untold
	q.bucket.telling = false
	q.bucket.mu.Unlock()
}

// recorded stands between redis_rate and Redis. At first it keeps the command, which then
// goes out with others; when redis_rate asks again it gives the answer. A script that
// Redis does not have is sent at once.
type recorded struct {
	redis.UniversalClient
	command  *redis.Cmd
	answered bool
}

var errRecorded = errors.New("not sent yet")

// EvalSha keeps the command, or gives its answer.
func (r *recorded) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if r.answered {
		return r.command
	}
	all := make([]any, 0, 4+len(args))
	all = append(all, "evalsha", sha, 1, ours(keys[0]))
	r.command = redis.NewCmd(ctx, append(all, args...)...)
	later := redis.NewCmd(ctx)
	later.SetErr(errRecorded)
	return later
}

// Eval sends a script.
func (r *recorded) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return r.UniversalClient.Eval(ctx, script, []string{ours(keys[0])}, args...)
}

// ours is the key without redis_rate's prefix: all our keys begin alike.
func ours(key string) string { return strings.TrimPrefix(key, "rate:") }
