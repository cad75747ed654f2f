package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"ackbox/model"
)

// States of a dependency.
const (
	StateUp       = "up"
	StateDown     = "down"
	StateDraining = "draining" // the node itself, while it stops
)

// Dependency is something the node needs, and how it is.
type Dependency struct {
	Name   string `json:"name" example:"database"`
	State  string `json:"state" enum:"up,down,draining"`
	Detail string `json:"detail,omitempty" doc:"For the operator; no addresses, no secrets"`
}

// Ready tells every dependency's state and whether the node can take requests.
type Ready func(ctx context.Context) (dependencies []Dependency, ok bool)

type (
	healthOutput struct {
		Body struct {
			Status string `json:"status" enum:"alive"`
		}
	}
	readyOutput struct {
		Body struct {
			Status       string       `json:"status" enum:"ready"`
			Dependencies []Dependency `json:"dependencies"`
		}
	}
	rawOutput struct{ Body func(huma.Context) }
)

func (a *API) registerHealth(h huma.API) {
	tags := []string{"operations"}
	route(h, huma.Operation{
		OperationID: "healthz", Method: http.MethodGet, Path: "/healthz", Tags: tags, Security: public, Summary: "Is the process alive?",
	}, func(context.Context, *none) (*healthOutput, error) {
		out := &healthOutput{}
		out.Body.Status = "alive"
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: tags, Security: public,
		Summary: "Can this node take requests?", Description: "200 with every dependency's state, or 503 with the same and the code unavailable, or draining while the node stops.",
	}, func(ctx context.Context, _ *none) (*readyOutput, error) {
		dependencies, ok := a.deps.Ready(ctx)
		if ok {
			out := &readyOutput{}
			out.Body.Status, out.Body.Dependencies = "ready", dependencies
			return out, nil
		}
		p := newProblem(model.CodeUnavailable, "a dependency is down")
		for _, d := range dependencies {
			if d.State == StateDraining {
				p = newProblem(model.CodeDraining, "this node is stopping")
			}
		}
		p.Dependencies = dependencies
		return nil, p
	})
	if a.deps.Metrics == nil {
		return
	}
	route(h, huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Tags: tags, Security: public, Summary: "Prometheus metrics",
		SkipValidateParams: true,
		Responses:          text("200", "text/plain", "Prometheus text format"),
	}, func(context.Context, *none) (*rawOutput, error) {
		return &rawOutput{func(ctx huma.Context) {
			c := humagin.Unwrap(ctx)
			a.deps.Metrics.ServeHTTP(c.Writer, c.Request)
		}}, nil
	})
}

func text(status, media, description string) map[string]*huma.Response {
	return map[string]*huma.Response{status: {Description: description, Content: map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}}}}
}
