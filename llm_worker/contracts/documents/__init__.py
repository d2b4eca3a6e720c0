"""The contract as others read it: JSON Schemas, AsyncAPI, the page, golden records."""
