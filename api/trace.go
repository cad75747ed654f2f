package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// TraceDevice is how far a device is with a message.
type TraceDevice struct {
	DeviceID string `json:"device_id"`
	Name     string `json:"name"`
	State    string `json:"state" enum:"acked,pushed,waiting,never_connected,history" doc:"never_connected: its user has no device, and device_id is empty. history: it came when the message was older than what a new device is pushed"`
	Acked    int64  `json:"acked" doc:"Its position in the mailbox, or in the log conversation"`
	Head     int64  `json:"head"`
	AckedAt  int64  `json:"acked_at" doc:"Unix ms; 0: not in the traces"`
}

// TraceRecipient is somebody whom a message was for.
type TraceRecipient struct {
	UserID      model.UserID  `json:"user_id"`
	Username    string        `json:"username"`
	Seq         int64         `json:"seq" doc:"In the mailbox; 0: not in it any more, or a log conversation"`
	Delivered   bool          `json:"delivered"`
	Read        bool          `json:"read"`
	DeliveredAt int64         `json:"delivered_at" doc:"Unix ms; 0: not in the traces"`
	ReadAt      int64         `json:"read_at" doc:"Unix ms; 0: not in the traces"`
	Devices     []TraceDevice `json:"devices"`
}

// TraceAcceptance is how a message was taken.
type TraceAcceptance struct {
	At          int64   `json:"at" doc:"Unix ms"`
	Node        string  `json:"node"`
	BatchID     string  `json:"batch_id" doc:"The batch's first message; empty: not in the traces"`
	BatchSize   int64   `json:"batch_size"`
	CommitMS    float64 `json:"commit_ms" doc:"Time of the transaction"`
	CommittedAt int64   `json:"committed_at" doc:"Unix ms"`
	Source      string  `json:"source" enum:"trace,tables" doc:"tables: the node's trace does not have it; the times are the message's created_at, the node is that of its id"`
}

// TraceEvent is one thing that happened to a message.
type TraceEvent struct {
	At           int64  `json:"at" doc:"Unix ms"`
	Micros       int64  `json:"micros" doc:"0 to 999, after at"`
	Node         string `json:"node"`
	Kind         string `json:"kind" enum:"accepted,committed,duplicate,relayed,pushed,push_failed,retried,acked,acked_by_position,receipt,read,evicted,sweep_repair,behind,closed,recalled,synced"`
	UserID       string `json:"user_id" doc:"Empty: of no user"`
	DeviceID     string `json:"device_id"`
	ConnectionID string `json:"connection_id"`
	Seq          int64  `json:"seq" doc:"In the user's mailbox; of receipt and read in the conversation"`
	Attempt      int64  `json:"attempt"`
	Detail       string `json:"detail"`
}

// TraceTotals counts whom a message was for.
type TraceTotals struct {
	Recipients int64 `json:"recipients"`
	Delivered  int64 `json:"delivered"`
	Read       int64 `json:"read"`
}

type (
	tracePage struct {
		MessageID Param[model.MessageID] `path:"message_id"`
		Cursor    Param[model.UserID]    `query:"cursor" doc:"next_cursor of the page before"`
		Limit     int                    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"Recipients of a page"`
	}
	adminTraceOutput struct {
		Body struct {
			MessageID       model.MessageID      `json:"message_id"`
			ConversationID  model.ConversationID `json:"conversation_id"`
			ConversationSeq int64                `json:"conversation_seq"`
			Delivery        string               `json:"delivery" enum:"mailbox,log"`
			SenderID        model.UserID         `json:"sender_id"`
			ClientMsgID     string               `json:"client_message_id" doc:"The sender's key, client_msg_id"`
			RecalledAt      int64                `json:"recalled_at" doc:"Unix ms; 0: never"`
			Accepted        TraceAcceptance      `json:"accepted"`
			Sender          TraceRecipient       `json:"sender" doc:"The sender's own devices"`
			Recipients      []TraceRecipient     `json:"recipients" doc:"By user id"`
			NextCursor      string               `json:"next_cursor"`
			HasMore         bool                 `json:"has_more"`
			Totals          TraceTotals          `json:"totals"`
			Events          []TraceEvent         `json:"events" doc:"By time: of the message, and of the recipients of this page and the sender"`
			MoreEvents      bool                 `json:"more_events" doc:"There are more than are shown"`
			Complete        bool                 `json:"complete" doc:"Nothing is missing in events, as far as can be known"`
			Sampled         bool                 `json:"sampled" doc:"The nodes' traces follow this message. Above ACKBOX_TRACE_RATE they follow a share"`
			MissingNodes    []string             `json:"missing_nodes" doc:"Nodes that did not answer, and those that are gone and may have seen the message"`
		}
	}
	// TraceReader is somebody whom one's own message was for.
	TraceReader struct {
		UserID      model.UserID  `json:"user_id"`
		State       string        `json:"state" enum:"sent,delivered,read"`
		DeliveredAt *model.Millis `json:"delivered_at" nullable:"true" doc:"null: not yet, or not known any more"`
		ReadAt      *model.Millis `json:"read_at" nullable:"true" doc:"null: not yet, or not known any more"`
	}
	ownTraceOutput struct {
		Body struct {
			MessageID      model.MessageID      `json:"message_id"`
			ConversationID model.ConversationID `json:"conversation_id"`
			AcceptedAt     model.Millis         `json:"accepted_at" doc:"When the message was durable"`
			Recipients     []TraceReader        `json:"recipients" doc:"By user id; who has left since is there too"`
			RecipientCount int64                `json:"recipient_count"`
			DeliveredCount int64                `json:"delivered_count" doc:"Who has read it counts too"`
			ReadCount      int64                `json:"read_count"`
			NextCursor     string               `json:"next_cursor" required:"false" doc:"Empty on the last page"`
			HasMore        bool                 `json:"has_more"`
		}
	}
	stuckInput struct {
		Sort  string `query:"sort" enum:"lag,oldest" default:"lag" doc:"The furthest behind first, or whose oldest un-acked entry is the oldest"`
		Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	// StuckDevice is a device that has not acked what its mailbox has.
	StuckDevice struct {
		UserID     model.UserID `json:"user_id"`
		Username   string       `json:"username"`
		DeviceID   string       `json:"device_id"`
		Name       string       `json:"name"`
		Acked      int64        `json:"acked"`
		Head       int64        `json:"head"`
		Lag        int64        `json:"lag" doc:"Entries that wait; those acked out of order count"`
		OldestAt   int64        `json:"oldest_unacked_at" doc:"When the first of them was made, Unix ms; 0: it is gone meanwhile"`
		LastSeenAt int64        `json:"last_seen_at" doc:"Unix ms"`
		Connected  bool         `json:"connected"`
		Node       string       `json:"node" doc:"Where it is connected; else empty"`
		Attempts   int          `json:"attempts" doc:"Pushes of its oldest un-acked entry"`
	}
	// RetryStep is how many un-acked entries have been pushed how often.
	RetryStep struct {
		Attempt int   `json:"attempt" doc:"The highest counts those above too"`
		Entries int64 `json:"entries"`
	}
	stuckOutput struct {
		Body struct {
			Devices        []StuckDevice    `json:"devices"`
			ScanLimit      int              `json:"scan_limit" doc:"So many devices, the latest seen first, are looked at, and those that are connected"`
			RetryHistogram []RetryStep      `json:"retry_histogram" doc:"Of all ack queues"`
			Evictions      int64            `json:"evictions" doc:"Since the nodes began"`
			Closes         map[string]int64 `json:"closes" doc:"Sockets closed with 4008 and 4009 since the nodes began"`
			MissingNodes   []string         `json:"missing_nodes"`
		}
	}
)

func millisOf(micros int64) int64 { return micros / 1_000 }

func optionalMillis(micros int64) *model.Millis {
	if micros == 0 {
		return nil
	}
	m := model.Millis(millisOf(micros))
	return &m
}

func traceRecipientOf(r *service.TracedRecipient) TraceRecipient {
	v := TraceRecipient{
		UserID: r.UserID, Username: r.Username, Seq: r.Seq, Delivered: r.Delivered, Read: r.Read, DeliveredAt: millisOf(r.DeliveredAt), ReadAt: millisOf(r.ReadAt), Devices: make([]TraceDevice, len(r.Devices)),
	}
	for i, d := range r.Devices {
		v.Devices[i] = TraceDevice{DeviceID: string(d.ID), Name: string(d.ID), State: string(d.State), Acked: d.Acked, Head: d.Head, AckedAt: millisOf(d.AckedAt)}
	}
	return v
}

func traceEventOf(v *service.TracedEvent) TraceEvent {
	e := TraceEvent{
		At: millisOf(v.At), Micros: v.At % 1_000, Node: nodeText(v.Node), Kind: v.Kind.String(), DeviceID: string(v.Device), ConnectionID: v.Connection, Seq: v.Seq, Attempt: int64(v.Attempt), Detail: v.Detail(),
	}
	if v.User != 0 {
		e.UserID = v.User.String()
	}
	return e
}

func adminTraceOf(t *service.MessageTrace) *adminTraceOutput {
	out := &adminTraceOutput{}
	b, m, a := &out.Body, t.Message, t.Accepted
	b.MessageID, b.ConversationID, b.ConversationSeq, b.SenderID, b.ClientMsgID = m.ID, m.ConversationID, m.ConversationSeq, m.SenderID, m.ClientMsgID
	b.Delivery, b.RecalledAt = string(t.Delivery), int64(m.RecalledAt)
	b.Accepted = TraceAcceptance{At: millisOf(a.At), Node: nodeText(a.Node), BatchSize: a.BatchSize, CommitMS: float64(a.Took.Microseconds()) / 1_000, CommittedAt: millisOf(a.CommittedAt), Source: "tables"}
	if a.Batch != 0 {
		b.Accepted.BatchID = a.Batch.String()
	}
	if a.Traced {
		b.Accepted.Source = "trace"
	}
	b.Sender, b.Recipients, b.Events = traceRecipientOf(&t.Sender), make([]TraceRecipient, len(t.Recipients)), make([]TraceEvent, len(t.Events))
	for i := range t.Recipients {
		b.Recipients[i] = traceRecipientOf(&t.Recipients[i])
	}
	if b.HasMore = t.More; t.More {
		b.NextCursor = t.Recipients[len(t.Recipients)-1].UserID.String()
	}
	b.Totals = TraceTotals{Recipients: t.Totals.Members, Delivered: t.Totals.Delivered, Read: t.Totals.Read}
	for i := range t.Events {
		b.Events[i] = traceEventOf(&t.Events[i])
	}
	b.MoreEvents, b.Complete, b.Sampled, b.MissingNodes = t.MoreEvents, t.Complete, t.Sampled, nodeTexts(t.Missing)
	return out
}

func ownTraceOf(t *service.MessageTrace) *ownTraceOutput {
	out := &ownTraceOutput{}
	b := &out.Body
	b.MessageID, b.ConversationID, b.AcceptedAt = t.Message.ID, t.Message.ConversationID, t.Message.CreatedAt
	b.RecipientCount, b.DeliveredCount, b.ReadCount = t.Totals.Members, t.Totals.Delivered, t.Totals.Read
	b.Recipients = make([]TraceReader, len(t.Recipients))
	for i, r := range t.Recipients {
		b.Recipients[i] = TraceReader{UserID: r.UserID, State: "sent", DeliveredAt: optionalMillis(r.DeliveredAt), ReadAt: optionalMillis(r.ReadAt)}
		switch {
		case r.Read:
			b.Recipients[i].State = "read"
		case r.Delivered:
			b.Recipients[i].State = "delivered"
		}
	}
	if b.HasMore = t.More; t.More {
		b.NextCursor = t.Recipients[len(t.Recipients)-1].UserID.String()
	}
	return out
}

func stuckOf(s *service.Stuck) *stuckOutput {
	out := &stuckOutput{}
	b := &out.Body
	b.Devices, b.ScanLimit, b.Evictions, b.MissingNodes = make([]StuckDevice, len(s.Devices)), model.StuckScan, s.Evictions, nodeTexts(s.Missing)
	for i, d := range s.Devices {
		b.Devices[i] = StuckDevice{
			UserID: d.UserID, Username: d.Username, DeviceID: string(d.DeviceID), Name: string(d.DeviceID), Acked: d.Acked, Head: d.Head, Lag: d.Lag, LastSeenAt: int64(d.LastSeenAt), Connected: d.Connected, Attempts: d.Attempts,
		}
		if d.Oldest != 0 {
			b.Devices[i].OldestAt = int64(model.MadeAt(d.Oldest))
		}
		if d.Connected {
			b.Devices[i].Node = nodeText(d.Node)
		}
	}
	for i, n := range s.ByAttempt {
		b.RetryHistogram = append(b.RetryHistogram, RetryStep{Attempt: i + 1, Entries: n})
	}
	b.Closes = map[string]int64{}
	for code, n := range s.Closes {
		b.Closes[strconv.Itoa(code)] = n
	}
	return out
}

func (a *API) registerTraces(h huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-trace-message", Method: http.MethodGet, Path: "/v1/admin/messages/{message_id}/trace",
		Summary: "What happened to a message", Description: "Where it is with whom comes from the tables and is always there; events come from the traces of all nodes, which are kept for a time and, under load, of a share of the messages.",
	}, read, func(ctx context.Context, in *tracePage) (*adminTraceOutput, error) {
		t, err := a.deps.Traces.Message(ctx, in.MessageID.ID, in.Cursor.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		return adminTraceOf(t), nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-stuck", Method: http.MethodGet, Path: "/v1/admin/stuck",
		Summary: "Devices that are behind", Description: "In mailboxes; log conversations are not looked at. An answer may be two seconds old.",
	}, read, func(ctx context.Context, in *stuckInput) (*stuckOutput, error) {
		s, err := a.deps.Traces.Stuck(ctx, service.StuckOrder(in.Sort), in.Limit)
		if err != nil {
			return nil, err
		}
		return stuckOf(s), nil
	})
	route(h, huma.Operation{
		OperationID: "trace-message", Method: http.MethodGet, Path: "/v1/messages/{message_id}/trace", Tags: []string{"messages"},
		Summary: "What happened to a message of one's own", Description: "Who has received and read it, and when as far as that is still known. 403 receipts_off in a large group.",
	}, func(ctx context.Context, in *tracePage) (*ownTraceOutput, error) {
		t, err := a.deps.Traces.Own(ctx, CallerFrom(ctx).UserID, in.MessageID.ID, in.Cursor.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		return ownTraceOf(t), nil
	})
}
