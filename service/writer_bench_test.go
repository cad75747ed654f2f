package service

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ackbox/internal/testenv"
	"ackbox/model"
	"ackbox/trace"
)

// BenchmarkWriter is what the grouped SQL alone does on MariaDB: 256 callers at once, each writing into their own direct
// conversation with the next of 256 users, every message durable when its caller goes on. No HTTP, no Redis, no push.
func BenchmarkWriter(b *testing.B) { benchmarkWriter(b, trace.Off()) }

// BenchmarkWriterTraced is BenchmarkWriter with a trace of all its messages.
func BenchmarkWriterTraced(b *testing.B) {
	t, err := trace.Open(trace.Options{Dir: b.TempDir(), Retention: time.Hour, Bytes: 64 << 20, Rate: 1_000_000, Node: func() model.NodeID { return 0 }, Clock: time.Now, Log: quiet})
	must(b, err)
	defer func() { must(b, t.Close()) }()
	benchmarkWriter(b, t)
}

func benchmarkWriter(b *testing.B, t *trace.Store) {
	b.Helper()
	const callers = 256
	store := openStore(b, model.Options{MySQLDSN: testenv.MySQL(b)})
	ids, err := NewIDs(b.Context(), store, -1, "bench", time.Now, quiet)
	must(b, err)
	defer func() { must(b, ids.Release(context.Background())) }()
	audiences, err := NewAudiences(store)
	must(b, err)
	writer := NewWriter(store, ids, audiences, time.Now, quiet, func([]Committed) {})
	writer.TracedBy(t)
	defer func() { must(b, writer.Stop(context.Background())) }()
	list := make([]*model.Audience, callers)
	next := func() int64 {
		id, err := ids.Next()
		must(b, err)
		return id
	}
	users := make([]model.UserID, callers)
	for i := range users {
		users[i] = model.UserID(next())
	}
	for i := range list {
		c, err := store.EnsureDirect(b.Context(), model.ConversationID(next()), users[i], users[(i+1)%callers], 1)
		must(b, err)
		list[i], err = audiences.Get(b.Context(), c.ID)
		must(b, err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				id, err := ids.Next()
				if err != nil {
					b.Error(err)
					return
				}
				msg := &model.Message{ID: model.MessageID(id), ConversationID: list[i].ConversationID, SenderID: users[i], ClientMsgID: "0d9e7c1e-5a51-4ab0-" + strconv.FormatInt(id, 16), Type: model.TypeText, Body: `{"text":"sixty-four characters of text, as the load generator sends in each."}`, Ext: "{}"}
				if _, _, err := writer.Write(b.Context(), msg, contentHash(msg), list[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}
