"""Database, clock, ids, crypto, HTTP, errors: tools that know no noun of the domain."""
