package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"ackbox/model"
	"ackbox/service"
	"ackbox/trace"
)

// TestTraces: an operator sees everything of a message, its sender what receipts show, and others nothing; answers are as described.
func TestTraces(t *testing.T) {
	s := newServer(t, nil)
	root := s.operator("root")
	var people [3]Grant
	for i, name := range []string{"ada", "bob", "eve"} {
		s.accepted(request{method: http.MethodPost, path: "/v1/auth/register", token: "-", body: `{"username":"` + name + `","password":"correct horse"}`}, http.StatusCreated).into(&people[i])
	}
	ada, bob, eve := people[0], people[1], people[2]
	m := s.traceable(ada.User.UserID, bob.User.UserID)
	get := func(path, token string) request {
		return request{method: http.MethodGet, path: path, token: token}
	}
	full, own := "/v1/admin/messages/"+m.ID.String()+"/trace", "/v1/messages/"+m.ID.String()+"/trace"

	var before adminTraceOutput
	s.accepted(get(full, root.AccessToken), http.StatusOK).into(&before.Body)
	b := before.Body
	if b.MessageID != m.ID || b.Delivery != "mailbox" || b.SenderID != ada.User.UserID || b.ClientMsgID != m.ClientMsgID || b.Accepted.Source != "trace" || b.Accepted.BatchSize != 1 || !b.Complete || !b.Sampled || len(b.MissingNodes) != 0 {
		t.Errorf("got %+v", b)
	}
	if len(b.Recipients) != 1 || b.Recipients[0].Username != "bob" || b.Recipients[0].Seq != 1 || len(b.Recipients[0].Devices) != 1 || b.Recipients[0].Devices[0].State != "never_connected" {
		t.Errorf("recipients %+v", b.Recipients)
	}
	if len(b.Events) != 2 || b.Events[0].Kind != "accepted" || b.Events[1].Kind != "committed" || b.Events[1].Detail == "" {
		t.Errorf("events %+v", b.Events)
	}
	if b.Totals != (TraceTotals{Recipients: 1}) || b.HasMore || b.NextCursor != "" {
		t.Errorf("totals %+v, more %v", b.Totals, b.HasMore)
	}

	var sent ownTraceOutput
	s.accepted(get(own, ada.AccessToken), http.StatusOK).into(&sent.Body)
	if r := sent.Body.Recipients; len(r) != 1 || r[0].UserID != bob.User.UserID || r[0].State != "sent" || r[0].DeliveredAt != nil || r[0].ReadAt != nil {
		t.Errorf("one's own %+v", sent.Body)
	}
	_, err := s.api.deps.Conversations.Read(t.Context(), bob.User.UserID, m.ConversationID, 1)
	must(t, err)
	s.accepted(get(own, ada.AccessToken), http.StatusOK).into(&sent.Body)
	if r := sent.Body.Recipients; len(r) != 1 || r[0].State != "read" || r[0].ReadAt == nil || sent.Body.ReadCount != 1 || sent.Body.DeliveredCount != 1 {
		t.Errorf("one's own, read: %+v", sent.Body)
	}

	s.refused(get(own, bob.AccessToken), model.CodeForbidden)
	s.refused(get(own, eve.AccessToken), model.CodeNotFound)
	s.refused(get(full, ada.AccessToken), model.CodeForbidden)
	s.refused(get("/v1/admin/messages/7/trace", root.AccessToken), model.CodeNotFound)
	s.refused(get(full+"?limit=101", root.AccessToken), model.CodeValidation)

	must(t, s.store.PutDevices(t.Context(), []model.Device{{UserID: bob.User.UserID, DeviceID: "phone"}}))
	var stuck stuckOutput
	s.accepted(get("/v1/admin/stuck?sort=oldest&limit=10", root.AccessToken), http.StatusOK).into(&stuck.Body)
	if d := stuck.Body.Devices; len(d) != 1 || d[0].DeviceID != "phone" || d[0].Username != "bob" || d[0].Lag != 1 || d[0].Connected || d[0].OldestAt < int64(m.CreatedAt)-60_000 {
		t.Errorf("stuck %+v", d)
	}
	if stuck.Body.Closes["4008"] < 0 || len(stuck.Body.Closes) != 2 || len(stuck.Body.RetryHistogram) == 0 || stuck.Body.ScanLimit != model.StuckScan {
		t.Errorf("stuck: %+v", stuck.Body)
	}
	s.refused(get("/v1/admin/stuck", bob.AccessToken), model.CodeForbidden)
	s.refused(get("/v1/admin/stuck?sort=name", root.AccessToken), model.CodeValidation)
}

// traceable gives the server a trace, and a message that is in it.
func (s *server) traceable(from, to model.UserID) *model.Message {
	s.t.Helper()
	ids, err := service.NewIDs(s.t.Context(), s.store, -1, "test", time.Now, s.api.log)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, ids.Release(context.Background())) })
	store, err := trace.Open(trace.Options{Dir: s.t.TempDir(), Retention: time.Hour, Bytes: 4 << 20, Rate: 1_000, Node: ids.Node, Clock: time.Now, Log: s.api.log})
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, store.Close()) })
	delivery, err := service.NewDelivery(s.store, "0", service.DeliveryOptions{AckTimeout: time.Minute, MaxAttempts: 5, QueueSize: 10, Heartbeat: time.Minute, SlowTimeout: time.Minute, PumpWorkers: 1, PumpCapacity: 1, Trace: store}, time.Now, s.api.log)
	must(s.t, err)
	s.t.Cleanup(delivery.Stop)
	audiences, err := service.NewAudiences(s.store)
	must(s.t, err)
	conversations, err := service.NewConversations(s.store, ids, audiences, delivery, time.Now)
	must(s.t, err)
	conversations.LimitReceipts(500)
	writer := service.NewWriter(s.store, ids, audiences, time.Now, s.api.log, delivery.Committed)
	writer.TracedBy(store)
	s.t.Cleanup(func() { must(s.t, writer.Stop(context.Background())) })
	calls := service.NewNodeCalls(s.store, nil, "test", "process", ids.Node, s.api.log)
	s.t.Cleanup(calls.Stop)
	s.api.deps.Conversations = conversations
	s.api.deps.Traces = service.NewTraces(s.store, store, calls, conversations, delivery)

	id, err := conversations.Direct(s.t.Context(), from, to)
	must(s.t, err)
	audience, err := audiences.Get(s.t.Context(), id)
	must(s.t, err)
	number, err := ids.Next()
	must(s.t, err)
	c, _, err := writer.Write(s.t.Context(), &model.Message{ID: model.MessageID(number), ConversationID: id, SenderID: from, ClientMsgID: "one", Type: model.TypeText, Body: `{"text":"hi"}`, Ext: "{}"}, []byte("0123456789abcdef"), audience)
	must(s.t, err)
	return c.Message
}
