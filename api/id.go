package api

import (
	"context"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// Param is an id in a path or a query. Bodies carry the ids of package model as they
// are; parameters need this, because huma parses them by their Go kind.
type Param[T model.ID] struct {
	ID  T
	Set bool // whether the request had it
}

// UnmarshalText reads the decimal digits.
func (p *Param[T]) UnmarshalText(text []byte) (err error) {
	p.ID, err = model.ParseID[T](string(text))
	p.Set = err == nil
	return err
}

// Schema describes a string of digits.
func (Param[T]) Schema(huma.Registry) *huma.Schema { return idText{}.Schema(nil) }

// The types below stand in for types of package model where huma describes and
// validates them; package model does not know huma.
type (
	idText     struct{}
	timeText   struct{}
	deviceText struct{}
	jsonObject struct{}
	codeText   struct{}
	mentions   struct{}
)

// Schema of an id: 63 bits, as a string.
func (idText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^[1-9][0-9]{0,18}$`, PatternDescription: "an id: a string of decimal digits", Examples: []any{"412345678901234567"}}
}

// Schema of a moment.
func (timeText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-11-21T12:00:00.000Z"}}
}

// Schema of a device's own name.
func (deviceText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^[A-Za-z0-9._-]{1,64}$`, PatternDescription: "1 to 64 of A-Z a-z 0-9 . _ -"}
}

// Schema of a free JSON object.
func (jsonObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// Schema of whom a message mentions.
func (mentions) Schema(huma.Registry) *huma.Schema {
	least, most := 1, model.MaxMentions
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"all"}},
		{Type: huma.TypeArray, Items: idText{}.Schema(nil), MinItems: &least, MaxItems: &most, UniqueItems: true},
	}, Examples: []any{[]any{"412345678901234567"}}}
}

// Schema of the closed set of error codes.
func (codeText) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, code := range sortedCodes() {
		s.Enum = append(s.Enum, string(code))
	}
	return s
}

// newRegistry is a schema registry that knows the types of package model.
func newRegistry() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	for _, id := range []reflect.Type{reflect.TypeFor[model.UserID](), reflect.TypeFor[model.ConversationID](), reflect.TypeFor[model.MessageID](), reflect.TypeFor[model.DeletionID](), reflect.TypeFor[model.FileID]()} {
		r.RegisterTypeAlias(id, reflect.TypeFor[idText]())
	}
	r.RegisterTypeAlias(reflect.TypeFor[model.Millis](), reflect.TypeFor[timeText]())
	r.RegisterTypeAlias(reflect.TypeFor[model.DeviceID](), reflect.TypeFor[deviceText]())
	r.RegisterTypeAlias(reflect.TypeFor[model.JSON](), reflect.TypeFor[jsonObject]())
	r.RegisterTypeAlias(reflect.TypeFor[model.Mentions](), reflect.TypeFor[mentions]())
	r.RegisterTypeAlias(reflect.TypeFor[model.Code](), reflect.TypeFor[codeText]())
	r.RegisterTypeAlias(reflect.TypeFor[model.Message](), reflect.TypeFor[Message]())
	message := r.Schema(reflect.TypeFor[Message](), false, "")
	message.Properties["reply_to"].Nullable = true // an alias forgets that its field is a pointer
	message.Properties["recalled_at"].Nullable = true
	return r
}

// optionalSeq is a seq in a query that may be missing. Huma parses and checks it as the
// number that it wraps.
type optionalSeq struct {
	value int64
	set   *int64 // nil when the request had none
}

// Receiver is where huma puts the number.
func (s *optionalSeq) Receiver() reflect.Value { return reflect.ValueOf(&s.value).Elem() }

// OnParamSet learns whether there was one.
func (s *optionalSeq) OnParamSet(isSet bool, _ any) {
	if isSet {
		s.set = &s.value
	}
}

// Schema of it.
func (optionalSeq) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &zero}
}

// IDs is the id service.
type IDs interface {
	// Take gives n ids, strictly increasing and unique for ever.
	Take(ctx context.Context, n int) ([]int64, error)
}

type takeIDsInput struct {
	Count int `query:"count" minimum:"1" maximum:"1000" default:"1" doc:"How many"`
}

type takeIDsOutput struct {
	Body struct {
		IDs []string `json:"ids" doc:"Strictly increasing"`
	}
}

func (a *API) registerIDs(h huma.API) {
	route(h, huma.Operation{
		OperationID: "take-ids", Method: http.MethodGet, Path: "/v1/ids", Tags: []string{"ids"},
		Summary: "Fresh ids", Description: "Ids from the id service: strictly increasing in one answer and unique for ever.",
	}, func(ctx context.Context, in *takeIDsInput) (*takeIDsOutput, error) {
		ids, err := a.deps.IDs.Take(ctx, in.Count)
		if err != nil {
			return nil, err
		}
		out := &takeIDsOutput{}
		for _, id := range ids {
			out.Body.IDs = append(out.Body.IDs, strconv.FormatInt(id, 10))
		}
		return out, nil
	})
}
