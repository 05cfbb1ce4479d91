# The stack around the services (Kafka, registry, PostgreSQL, Jaeger). Included by the Makefile at the root.
STACK := deploy/local/stack

.PHONY: stack-up stack-down stack-reset stack-status stack-fetch
stack-up: ## start Kafka, the registry, PostgreSQL and Jaeger; wait until they serve
	@$(STACK) up
stack-down: ## stop what stack-up started; data stays
	@$(STACK) down
stack-reset: ## stop it and delete its data
	@$(STACK) reset
stack-status: ## what runs where
	@$(STACK) status
stack-fetch: ## download and build what stack-up needs, start nothing
	@$(STACK) fetch
