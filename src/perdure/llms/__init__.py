"""Language models, each behind `protocols.LanguageModel`."""
