package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"ackbox/model"
	"ackbox/service"
)

// adminTags are of all calls of operators.
var adminTags = []string{"Admin"}

// action is what the audit log calls what a call does.
type action struct {
	Name   string // user.ban …
	Target string // the kind of what it is done to, or empty
	Param  string // the path parameter that has the target's id, or empty
}

// read is the action of calls that only look, at nothing private: they are not in the audit log.
var read = action{}

// auditExtension is where the description of a call says its action.
const auditExtension = "x-audit-action"

// adminRoute adds a call of operators: it needs the role admin, and what it does is recorded, also when it fails. All but a GET
// need an action; so does a GET that shows what people wrote.
func adminRoute[I, O any](a *API, op huma.Operation, act action, handler handlerOf[I, O]) {
	if act == read && op.Method != http.MethodGet {
		panic("api: " + op.Method + " " + op.Path + " has no action for the audit log")
	}
	op.Tags = adminTags
	if op.Security == nil {
		op.Security = admin
	}
	op.Middlewares = append(op.Middlewares, a.addressed)
	if act == read {
		route(a.huma, op, handler)
		return
	}
	op.Extensions = map[string]any{auditExtension: act.Name}
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		note := &auditNote{entry: model.AuditEntry{Action: act.Name, TargetKind: act.Target, Address: humagin.Unwrap(ctx).ClientIP()}, detail: map[string]any{}}
		if act.Param != "" {
			note.entry.TargetID = ctx.Param(act.Param)
		}
		next(huma.WithValue(ctx, auditNoteKey{}, note))
	})
	route(a.huma, op, func(ctx context.Context, in *I) (out *O, err error) {
		note := noteOf(ctx)
		if caller, known := ctx.Value(callerKey{}).(service.Claims); known {
			note.entry.ActorID = caller.UserID
		}
		note.entry.Outcome = string(model.CodeInternal) // of a panic
		defer func() {
			if note.entry.ActorID == 0 && note.entry.Outcome == string(model.CodeRateLimited) {
				return // a flood of logins is counted elsewhere
			}
			a.deps.Audit.Record(ctx, note.finished())
		}()
		out, err = handler(ctx, in)
		note.entry.Outcome = "ok"
		if err != nil {
			note.entry.Outcome = string(toProblem(err).Code)
		}
		return out, err
	})
}

// auditNote is the entry of a call that is being served.
type auditNote struct {
	entry  model.AuditEntry
	detail map[string]any
}

type auditNoteKey struct{}

func noteOf(ctx context.Context) *auditNote {
	note, known := ctx.Value(auditNoteKey{}).(*auditNote)
	if !known {
		panic("api: a call without an action wrote into the audit log")
	}
	return note
}

// audit adds to the entry of a call what it was asked: names and numbers, never a secret and never what people wrote to each other.
func audit(ctx context.Context, name string, value any) { noteOf(ctx).detail[name] = value }

// auditTarget says what the call was done to, when its path does not.
func auditTarget(ctx context.Context, id string) { noteOf(ctx).entry.TargetID = id }

func (n *auditNote) finished() model.AuditEntry {
	text, err := json.Marshal(n.detail)
	if err != nil {
		text = []byte(`{"unreadable":true}`)
	}
	n.entry.Detail = model.JSON(text)
	return n.entry
}

// isAdminPath says whether a path is for operators only.
func isAdminPath(path string) bool {
	return path == "/admin" || strings.HasPrefix(path, "/admin/") || path == "/v1/admin" || strings.HasPrefix(path, "/v1/admin/")
}

// onAdminListener says whether the admin listener serves a path: what is for operators, and what helps them.
func onAdminListener(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs", "/icon.svg":
		return true
	}
	return isAdminPath(path) || strings.HasPrefix(path, "/docs/")
}

type elsewhereKey struct{}

// placed answers 404 to what the other listener serves.
func (a *API) placed(c *gin.Context) {
	if c.Request.Context().Value(elsewhereKey{}) != nil {
		a.noRoute(c)
	}
}

// elsewhere makes a request one for the other listener.
func elsewhere(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), elsewhereKey{}, true))
}
