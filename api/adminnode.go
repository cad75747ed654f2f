package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// AdminNode is a node of the deployment.
type AdminNode struct {
	Node           string `json:"node"`
	Address        string `json:"address" doc:"Of its public listener, as it was configured"`
	Version        string `json:"version"`
	StartedAt      int64  `json:"started_at" doc:"Unix ms"`
	LeaseExpiresAt int64  `json:"lease_expires_at" doc:"Unix ms"`
	State          string `json:"state" enum:"up,draining,down" doc:"down: its lease has ended, or it does not answer"`
	Sessions       int    `json:"sessions"`
	Self           bool   `json:"self" doc:"The node that answers"`
	Goroutines     int    `json:"goroutines"`
	HeapBytes      int64  `json:"heap_bytes"`
	UptimeMS       int64  `json:"uptime_ms"`
}

// AdminJob is a job on a node.
type AdminJob struct {
	Name           string `json:"name"`
	Node           string `json:"node"`
	EveryMS        int64  `json:"every_ms"`
	Running        bool   `json:"running"`
	LastRunAt      int64  `json:"last_run_at" doc:"Unix ms; 0: not yet"`
	LastDurationMS int64  `json:"last_duration_ms"`
	LastOutcome    string `json:"last_outcome" doc:"ok, error or panic; empty: not yet"`
	LastError      string `json:"last_error"`
	Runs           int64  `json:"runs"`
	Failures       int64  `json:"failures"`
}

// AdminSocket is a socket of a node.
type AdminSocket struct {
	Node         string         `json:"node"`
	UserID       model.UserID   `json:"user_id"`
	Username     string         `json:"username"`
	DeviceID     model.DeviceID `json:"device_id"`
	ConnectionID string         `json:"connection_id"`
	State        string         `json:"state" enum:"opening,live,behind"`
	ConnectedAt  int64          `json:"connected_at" doc:"Unix ms"`
	Pushed       int64          `json:"pushed" doc:"Everything up to this seq has been pushed, or acked"`
	Acked        int64          `json:"acked"`
	Pending      int            `json:"pending" doc:"Pushes that wait for their ack"`
	Attempts     int            `json:"attempts" doc:"Of the oldest of them"`
}

// AdminAckQueue is a node's ack queue.
type AdminAckQueue struct {
	Node           string  `json:"node"`
	Entries        int     `json:"entries"`
	Capacity       int     `json:"capacity"`
	OldestPushedAt int64   `json:"oldest_pushed_at" doc:"Unix ms; when the entry that is due next was first pushed; 0: there is none"`
	ByAttempt      []int64 `json:"by_attempt" doc:"Entries that were pushed once, twice …"`
	Evictions      int64   `json:"evictions" doc:"Since the node started"`
	Retries        int64   `json:"retries" doc:"Since the node started"`
}

// AdminSetting is a setting in force on the node that answers.
type AdminSetting struct {
	Name    string `json:"name"`
	Env     string `json:"env"`
	Value   string `json:"value" doc:"Masked where it is a secret"`
	Default string `json:"default"`
	Changed bool   `json:"changed"`
	Secret  bool   `json:"secret"`
	Help    string `json:"help"`
}

// AdminSeries is what a node did.
type AdminSeries struct {
	Node    string           `json:"node"`
	Samples []service.Sample `json:"samples" doc:"The oldest first"`
}

// AdminLogLevel is a node's log level.
type AdminLogLevel struct {
	Node  string `json:"node"`
	Level string `json:"level" enum:"debug,info,warn,error"`
	Until int64  `json:"until" doc:"Unix ms; 0: until it is changed or the node stops"`
}

type (
	adminNodesOutput struct {
		Body struct {
			Nodes        []AdminNode `json:"nodes"`
			MissingNodes []string    `json:"missing_nodes"`
		}
	}
	nodePath struct {
		Node int64 `path:"node" minimum:"0" maximum:"1023"`
	}
	adminJobsOutput struct {
		Body struct {
			Jobs         []AdminJob `json:"jobs"`
			MissingNodes []string   `json:"missing_nodes"`
		}
	}
	runJobInput struct {
		Name string `path:"name" maxLength:"64"`
		Body *struct {
			Node string `json:"node,omitempty" pattern:"^[0-9]{0,4}$" patternDescription:"a node" doc:"Default: the node that is asked"`
		}
	}
	adminSocketsInput struct {
		Cursor string              `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
		Limit  int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Node   string              `query:"node" pattern:"^[0-9]{1,4}$" patternDescription:"a node"`
		State  string              `query:"state" enum:"opening,live,behind"`
		UserID Param[model.UserID] `query:"user_id"`
		Sort   string              `query:"sort" enum:"pending,-pending,connected_at,-connected_at" default:"-pending"`
	}
	adminSocketsOutput struct {
		Body struct {
			Sessions     []AdminSocket `json:"sessions"`
			NextCursor   string        `json:"next_cursor"`
			HasMore      bool          `json:"has_more"`
			MissingNodes []string      `json:"missing_nodes"`
		}
	}
	adminAckQueueOutput struct {
		Body struct {
			Nodes        []AdminAckQueue `json:"nodes"`
			MissingNodes []string        `json:"missing_nodes"`
		}
	}
	adminConfigOutput struct {
		Body struct {
			Settings []AdminSetting `json:"settings"`
		}
	}
	adminSeriesInput struct {
		Minutes int `query:"minutes" minimum:"1" maximum:"60" default:"15"`
	}
	adminSeriesOutput struct {
		Body struct {
			StepMS       int64         `json:"step_ms"`
			Nodes        []AdminSeries `json:"nodes"`
			MissingNodes []string      `json:"missing_nodes"`
		}
	}
	adminLogLevelOutput struct {
		Body struct {
			Nodes        []AdminLogLevel `json:"nodes"`
			MissingNodes []string        `json:"missing_nodes"`
		}
	}
	setLogLevelInput struct {
		Body struct {
			Level string `json:"level" enum:"debug,info,warn,error"`
			Node  string `json:"node,omitempty" pattern:"^[0-9]{0,4}$" patternDescription:"a node" doc:"Default: all"`
			ForMS int64  `json:"for_ms,omitempty" minimum:"0" maximum:"86400000" doc:"Then the configured level is back; 0: until it is changed or the node stops"`
		}
	}
)

func (a *API) registerAdminNodes(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-nodes", Method: http.MethodGet, Path: "/v1/admin/nodes", Summary: "The nodes", Description: "Those that live, and those of the last day that ended without a word.",
	}, read, a.adminNodes)
	for name, drain := range map[string]bool{"drain": true, "undrain": false} {
		summary := map[bool]string{true: "Make a node turn clients away", false: "Let a node take clients again"}[drain]
		adminRoute(a, huma.Operation{
			OperationID: "admin-" + name, Method: http.MethodPost, Path: "/v1/admin/nodes/{node}/" + name, Summary: summary,
			Description: "A draining node answers /readyz with 503, refuses new sockets with 503 and asks the present ones to go (bye, 1012), spread over seconds. It goes on answering requests. A restart ends it.",
		}, action{"node." + name, "node", "node"}, func(ctx context.Context, in *nodePath) (*none, error) {
			return nil, a.deps.Nodes.Drain(ctx, model.NodeID(in.Node), drain)
		})
	}
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-jobs", Method: http.MethodGet, Path: "/v1/admin/jobs", Summary: "The jobs of all nodes and how their last runs went",
	}, read, a.adminJobs)
	adminRoute(a, huma.Operation{
		OperationID: "admin-run-job", Method: http.MethodPost, Path: "/v1/admin/jobs/{name}/run", Summary: "Run a job now", Description: "Beside its ticks, once a run that is under way has ended. The answer does not wait for it.",
	}, action{"job.run", "job", "name"}, func(ctx context.Context, in *runJobInput) (*none, error) {
		node := ""
		if in.Body != nil {
			node = in.Body.Node
		}
		audit(ctx, "node", node)
		return nil, a.deps.Nodes.RunJob(ctx, in.Name, optionalNode(node))
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-sessions", Method: http.MethodGet, Path: "/v1/admin/sessions", Summary: "The sockets of all nodes",
	}, read, a.adminSockets)
	adminRoute(a, huma.Operation{
		OperationID: "admin-ack-queue", Method: http.MethodGet, Path: "/v1/admin/ack-queue", Summary: "The pushes that wait for their ack",
	}, read, a.adminAckQueue)
	adminRoute(a, huma.Operation{
		OperationID: "admin-series", Method: http.MethodGet, Path: "/v1/admin/series", Summary: "What each node did in the last minutes, in steps", Description: "Kept in memory, for an hour.",
	}, read, a.adminSeries)
	adminRoute(a, huma.Operation{
		OperationID: "admin-config", Method: http.MethodGet, Path: "/v1/admin/config", Summary: "The settings in force on the node that answers", Description: "Secrets, and passwords in addresses, are masked.",
	}, read, func(context.Context, *none) (*adminConfigOutput, error) {
		out := &adminConfigOutput{}
		out.Body.Settings = append([]AdminSetting{}, a.deps.Settings...)
		return out, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-log-level", Method: http.MethodGet, Path: "/v1/admin/log-level", Summary: "The log level of each node",
	}, read, a.adminLogLevel)
	adminRoute(a, huma.Operation{
		OperationID: "admin-set-log-level", Method: http.MethodPut, Path: "/v1/admin/log-level", Summary: "Change the log level, for a time",
		Description: "503 when a node does not answer: the others have the level then.",
	}, action{Name: "log.level"}, func(ctx context.Context, in *setLogLevelInput) (*none, error) {
		audit(ctx, "level", in.Body.Level)
		audit(ctx, "node", in.Body.Node)
		audit(ctx, "for_ms", in.Body.ForMS)
		var level slog.Level
		if err := level.UnmarshalText([]byte(in.Body.Level)); err != nil {
			return nil, model.Invalid("body.level", "want debug, info, warn or error", in.Body.Level)
		}
		return nil, a.deps.Nodes.SetLevel(ctx, service.LevelWish{Level: level, For: time.Duration(in.Body.ForMS) * time.Millisecond}, optionalNode(in.Body.Node))
	})
}

// optionalNode is a node that a request may name; its digits have been checked.
func optionalNode(text string) *model.NodeID {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		n = int64(model.MaxNodeID) + 1 // there is none
	}
	node := model.NodeID(n)
	return &node
}

func (a *API) adminNodes(ctx context.Context, _ *none) (*adminNodesOutput, error) {
	list, missing, err := a.deps.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &adminNodesOutput{}
	out.Body.MissingNodes = nodeTexts(missing)
	out.Body.Nodes = make([]AdminNode, len(list))
	for i, n := range list {
		started := n.NodeRow.StartedAt
		if n.NodeInfo.StartedAt != 0 {
			started = n.NodeInfo.StartedAt
		}
		out.Body.Nodes[i] = AdminNode{
			Node: nodeText(n.ID), Address: n.Address, Version: n.Version, StartedAt: int64(started), LeaseExpiresAt: int64(n.ExpiresAt), State: n.State,
			Sessions: n.Sessions, Self: n.Self, Goroutines: n.Goroutines, HeapBytes: n.HeapBytes, UptimeMS: n.Uptime.Milliseconds(),
		}
	}
	return out, nil
}

func (a *API) adminJobs(ctx context.Context, _ *none) (*adminJobsOutput, error) {
	list, missing, err := a.deps.Nodes.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	out := &adminJobsOutput{}
	out.Body.MissingNodes = nodeTexts(missing)
	out.Body.Jobs = make([]AdminJob, len(list))
	for i, j := range list {
		out.Body.Jobs[i] = AdminJob{
			Name: j.Name, Node: nodeText(j.Node), EveryMS: j.Every.Milliseconds(), Running: j.Running, LastRunAt: int64(j.LastRunAt), LastDurationMS: j.LastDuration.Milliseconds(),
			LastOutcome: j.LastOutcome, LastError: j.LastError, Runs: j.Runs, Failures: j.Failures,
		}
	}
	return out, nil
}

func (a *API) adminSockets(ctx context.Context, in *adminSocketsInput) (*adminSocketsOutput, error) {
	sort, descending := strings.CutPrefix(in.Sort, "-")
	f := service.SessionFilter{UserID: in.UserID.ID, State: in.State, Sort: service.SessionSort(sort), Descending: descending, Limit: in.Limit}
	if in.Cursor != "" {
		value, connection, _ := strings.Cut(in.Cursor, ".")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || connection == "" {
			return nil, badCursor(in.Cursor)
		}
		f.After = &service.SessionPlace{Value: n, ConnectionID: connection}
	}
	var nodes []model.NodeID
	if node := optionalNode(in.Node); node != nil {
		nodes = append(nodes, *node)
	}
	list, more, missing, err := a.deps.Nodes.Sessions(ctx, f, nodes...)
	if err != nil {
		return nil, err
	}
	names, err := a.deps.Nodes.Usernames(ctx, list)
	if err != nil {
		return nil, err
	}
	out := &adminSocketsOutput{}
	b := &out.Body
	b.MissingNodes, b.HasMore = nodeTexts(missing), more
	b.Sessions = make([]AdminSocket, len(list))
	for i, s := range list {
		b.Sessions[i] = AdminSocket{
			Node: nodeText(s.Node), UserID: s.UserID, Username: names[s.UserID], DeviceID: s.DeviceID, ConnectionID: s.ConnectionID, State: s.State, ConnectedAt: int64(s.ConnectedAt),
			Pushed: s.Pushed, Acked: s.Acked, Pending: s.Pending, Attempts: s.Attempts,
		}
	}
	if more {
		last := list[len(list)-1]
		value := int64(last.Pending)
		if f.Sort == service.SessionsByConnected {
			value = int64(last.ConnectedAt)
		}
		b.NextCursor = fmt.Sprint(value, ".", last.ConnectionID)
	}
	return out, nil
}

func (a *API) adminAckQueue(ctx context.Context, _ *none) (*adminAckQueueOutput, error) {
	list, missing, err := a.deps.Nodes.AckQueues(ctx)
	if err != nil {
		return nil, err
	}
	out := &adminAckQueueOutput{}
	out.Body.MissingNodes = nodeTexts(missing)
	out.Body.Nodes = make([]AdminAckQueue, len(list))
	for i, t := range list {
		q := t.Value
		out.Body.Nodes[i] = AdminAckQueue{
			Node: nodeText(t.Node), Entries: q.Entries, Capacity: q.Capacity, OldestPushedAt: int64(q.OldestPushedAt), ByAttempt: q.ByAttempt, Evictions: q.Evictions, Retries: q.Retries,
		}
	}
	return out, nil
}

func (a *API) adminSeries(ctx context.Context, in *adminSeriesInput) (*adminSeriesOutput, error) {
	list, missing, err := a.deps.Nodes.Series(ctx, time.Duration(in.Minutes)*time.Minute)
	if err != nil {
		return nil, err
	}
	out := &adminSeriesOutput{}
	out.Body.StepMS, out.Body.MissingNodes = service.SeriesStep.Milliseconds(), nodeTexts(missing)
	out.Body.Nodes = make([]AdminSeries, len(list))
	for i, t := range list {
		out.Body.Nodes[i] = AdminSeries{Node: nodeText(t.Node), Samples: t.Value}
	}
	return out, nil
}

func (a *API) adminLogLevel(ctx context.Context, _ *none) (*adminLogLevelOutput, error) {
	list, missing, err := a.deps.Nodes.Levels(ctx)
	if err != nil {
		return nil, err
	}
	out := &adminLogLevelOutput{}
	out.Body.MissingNodes = nodeTexts(missing)
	out.Body.Nodes = make([]AdminLogLevel, len(list))
	for i, t := range list {
		out.Body.Nodes[i] = AdminLogLevel{Node: nodeText(t.Node), Level: strings.ToLower(t.Value.Level.String()), Until: int64(t.Value.Until)}
	}
	return out, nil
}
