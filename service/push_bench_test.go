package service

import (
	"testing"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// swallow is a socket that takes everything.
type swallow struct{}

func (swallow) Push([][]byte) (int, bool) { return 0, true }
func (swallow) Ping()                     {}
func (swallow) Close([]byte, int, string) {}

// BenchmarkPush is what a batch of 80 messages costs from its commit to its acks, with both people of each connected: per
// message two entries, two pushes, two acks. No database, no network.
func BenchmarkPush(b *testing.B) {
	benchmarkPush(b, standard)
}

func benchmarkPush(b *testing.B, options DeliveryOptions) {
	b.Helper()
	const batch = 80
	options.QueueSize = 200_000
	d, err := NewDelivery(nil, "0", options, time.Now, quiet)
	must(b, err)
	defer d.Stop()
	sessions := make([]*Session, 2*batch)
	for i := range sessions {
		s := &Session{Key: model.DeviceKey{UserID: model.UserID(i + 1), DeviceID: "phone"}, ConnectionID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", socket: swallow{}, delivery: d, state: stateLive}
		sh := d.shardOf(s.Key.UserID)
		sh.users[s.Key.UserID] = []*Session{s}
		sessions[i] = s
	}
	list := make([]Committed, batch)
	seq, counter := int64(0), int64(0)
	since := time.Now().UnixMilli() - idEpoch
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		seq++
		for i := range list {
			counter++
			msg := &model.Message{ID: model.MessageID((since+counter/4096)<<22 | counter%4096), ConversationID: 5, ConversationSeq: seq, SenderID: 1, ClientMsgID: "0d9e7c1e-5a51-4ab0-8d1c-1f0e0d0c0b0a", Type: model.TypeText, Body: `{"text":"sixty-four characters of text, as the load generator sends in each."}`, Ext: "{}"}
			list[i] = Committed{Message: msg, JSON: msg.AppendJSON(nil), Entries: []model.Entry{{UserID: sessions[2*i].Key.UserID, Seq: seq, MessageID: msg.ID}, {UserID: sessions[2*i+1].Key.UserID, Seq: seq, MessageID: msg.ID}}}
		}
		b.StartTimer()
		d.Committed(list)
		for _, s := range sessions {
			d.Settle(s.Key, seq, nil)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
}

// BenchmarkPushTraced is BenchmarkPush with a trace: of all messages, and of one in 1,024.
func BenchmarkPushTraced(b *testing.B) {
	for name, rate := range map[string]int{"all": 1_000_000, "a share": 1} {
		b.Run(name, func(b *testing.B) {
			t, err := trace.Open(trace.Options{Dir: b.TempDir(), Retention: time.Hour, Bytes: 64 << 20, Rate: rate, Node: func() model.NodeID { return 0 }, Clock: time.Now, Log: quiet})
			must(b, err)
			options := standard
			options.Trace = t
			benchmarkPush(b, options)
			b.ReportMetric(t.Stats().Share, "share")
			b.ReportMetric(float64(t.Stats().Dropped)/float64(t.Stats().Dropped+t.Stats().Events), "dropped")
			must(b, t.Close())
		})
	}
}
