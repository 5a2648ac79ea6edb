/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of processors that take texts; kinds.c lists them. */
#ifndef PX_DOMAIN_PROCESSING_TEXT_KINDS_H
#define PX_DOMAIN_PROCESSING_TEXT_KINDS_H

#include "domain/processing/processor.h"

extern const struct px_processor_kind px_kind_hashing_vectorizer;
extern const struct px_processor_kind px_kind_tfidf;
extern const struct px_processor_kind px_kind_tokenize_bpe;
extern const struct px_processor_kind px_kind_tokenize_whitespace;
extern const struct px_processor_kind px_kind_tokenize_wordpiece;

#endif
