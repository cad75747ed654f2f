package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// description is huma's configuration: OpenAPI 3.1 of what is registered, without
// huma's own pages and fields.
func (a *API) description() huma.Config {
	registry := newRegistry()
	problem := registry.Schema(reflect.TypeFor[Problem](), true, "Problem")
	registerFrames(registry)
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Ackbox", Version: cmp.Or(a.deps.Version, "dev"),
				Description: "A messaging service: clients send by REST, the server pushes by WebSocket (see /asyncapi.json), receivers acknowledge by REST.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				Responses: map[string]*huma.Response{"problem": {
					Description: "An error: see /docs/errors",
					Headers:     map[string]*huma.Param{"Retry-After": {Description: "With 429 and 503: seconds until it is worth trying again", Schema: &huma.Schema{Type: huma.TypeInteger}}},
					Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
				}},
				SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"}},
			},
			Security: bearer,
		},
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}, // the second is what huma makes of …+json
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{finished},
	}
}

// describe registers the descriptions and their pages; it comes after all routes,
// because it writes down what they are.
func (a *API) describe() error {
	var openAPI []byte // written below: the description describes these routes too
	asyncAPI, err := json.MarshalIndent(asyncAPI(cmp.Or(a.deps.Version, "dev")), "", "  ")
	if err != nil {
		return fmt.Errorf("asyncapi: %w", err)
	}
	for _, doc := range []struct {
		id, path, summary string
		text              *[]byte
	}{
		{"openapi", "/openapi.json", "This description", &openAPI},
		{"asyncapi", "/asyncapi.json", "The description of what is pushed", &asyncAPI},
	} {
		route(a.huma, huma.Operation{
			OperationID: doc.id, Method: http.MethodGet, Path: doc.path, Tags: []string{"operations"}, Security: public, Summary: doc.summary,
			Responses: map[string]*huma.Response{"200": {Description: doc.summary, Content: map[string]*huma.MediaType{"application/json": {Schema: jsonObject{}.Schema(nil)}}}},
		}, func(context.Context, *none) (*rawOutput, error) {
			return &rawOutput{func(ctx huma.Context) {
				ctx.SetHeader("Content-Type", "application/json; charset=utf-8")
				if _, err := ctx.BodyWriter().Write(*doc.text); err != nil {
					a.log.Debug("client left while it read a description", "error", err)
				}
			}}, nil
		})
	}
	if err := a.registerPages(); err != nil {
		return err
	}
	a.huma.OpenAPI().AddOperation(streamOperation())
	if openAPI, err = json.MarshalIndent(a.huma.OpenAPI(), "", "  "); err != nil {
		return fmt.Errorf("openapi: %w", err)
	}
	return nil
}

func sortedCodes() []model.Code { return slices.Sorted(maps.Keys(meanings)) }
