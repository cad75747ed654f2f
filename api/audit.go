package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// AuditEntry is one thing that an operator did, or tried.
type AuditEntry struct {
	ID         string     `json:"id"`
	At         int64      `json:"at" doc:"Unix ms"`
	ActorID    string     `json:"actor_id" doc:"Empty: nobody who is known"`
	Actor      string     `json:"actor" doc:"The username then"`
	Action     string     `json:"action" example:"user.ban"`
	TargetKind string     `json:"target_kind"`
	TargetID   string     `json:"target_id"`
	Detail     model.JSON `json:"detail" doc:"What was asked; no secrets, no messages"`
	Address    string     `json:"address"`
	Node       string     `json:"node"`
	Outcome    string     `json:"outcome" doc:"ok, or a problem's code"`
}

type (
	auditInput struct {
		Cursor     string              `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
		Limit      int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
		ActorID    Param[model.UserID] `query:"actor_id"`
		Action     string              `query:"action" maxLength:"64"`
		TargetKind string              `query:"target_kind" maxLength:"32"`
		TargetID   string              `query:"target_id" maxLength:"128"`
		From       int64               `query:"from" minimum:"0" doc:"Unix ms"`
		To         int64               `query:"to" minimum:"0" doc:"Unix ms; entries before it"`
	}
	auditOutput struct {
		Body struct {
			Entries    []AuditEntry `json:"entries" doc:"The latest first"`
			NextCursor string       `json:"next_cursor"`
			HasMore    bool         `json:"has_more"`
		}
	}
)

func (a *API) registerAudit(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-audit", Method: http.MethodGet, Path: "/v1/admin/audit", Summary: "What operators did",
	}, read, func(ctx context.Context, in *auditInput) (*auditOutput, error) {
		var after *model.AuditPlace
		if in.Cursor != "" {
			var err error
			if after, err = auditPlace(in.Cursor); err != nil {
				return nil, err
			}
		}
		list, next, err := a.deps.Audit.List(ctx, model.AuditFilter{
			ActorID: in.ActorID.ID, Action: in.Action, TargetKind: in.TargetKind, TargetID: in.TargetID, From: model.Millis(in.From), To: model.Millis(in.To),
		}, after, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &auditOutput{}
		out.Body.Entries = make([]AuditEntry, len(list))
		for i, e := range list {
			out.Body.Entries[i] = AuditEntry{
				ID: strconv.FormatInt(int64(e.ID), 10), At: int64(e.At), Actor: e.Actor, Action: e.Action, TargetKind: e.TargetKind, TargetID: e.TargetID,
				Detail: e.Detail, Address: e.Address, Node: nodeText(e.Node), Outcome: e.Outcome,
			}
			if e.ActorID != 0 {
				out.Body.Entries[i].ActorID = e.ActorID.String()
			}
		}
		if next != nil {
			out.Body.HasMore, out.Body.NextCursor = true, fmt.Sprintf("%d.%d", next.At, next.ID)
		}
		return out, nil
	})
}

func auditPlace(cursor string) (*model.AuditPlace, error) {
	at, id, _ := strings.Cut(cursor, ".")
	moment, atErr := strconv.ParseInt(at, 10, 64)
	entry, idErr := strconv.ParseInt(id, 10, 64)
	if atErr != nil || idErr != nil {
		return nil, badCursor(cursor)
	}
	return &model.AuditPlace{At: model.Millis(moment), ID: model.AuditID(entry)}, nil
}

func badCursor(cursor string) error {
	return model.Invalid("query.cursor", "want the next_cursor of a page of this list", cursor)
}

func nodeText(node model.NodeID) string { return strconv.FormatInt(int64(node), 10) }

func nodeTexts(nodes []model.NodeID) []string {
	list := make([]string, len(nodes))
	for i, node := range nodes {
		list[i] = nodeText(node)
	}
	return list
}
