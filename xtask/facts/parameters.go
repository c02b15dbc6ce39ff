// What is sent in the query of a request, by the types of options.

package main

import "reflect"

// A documented type says itself what its fields mean.
type documented interface{ SwaggerDoc() map[string]string }

// Parameters says of the fields of options how they are sent in a query. Fields that are embedded, or are structs
// themselves (a time too), cannot be sent.
func parameters(t reflect.Type, fields map[string]field) {
	options, ok := reflect.Zero(t).Interface().(documented)
	if !ok {
		return
	}
	for name, entry := range fields {
		if f, _ := t.FieldByName(entry.Go); len(f.Index) != 1 {
			continue
		} else if type_ := parameterType(f.Type); type_ != "" {
			entry.Parameter = []string{type_, options.SwaggerDoc()[name]}
			fields[name] = entry
		}
	}
}

// ParameterType is the type that OpenAPI gives a query parameter: a list is sent as several, and has its items' type.
func parameterType(t reflect.Type) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "integer"
	case reflect.String:
		return "string"
	}
	return ""
}
