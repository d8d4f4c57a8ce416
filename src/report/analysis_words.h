/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Words that the forms of an analysis share. */
#include "report/report_priv.h"
#include "shardplan/analysis.h"

/* "1.234 T", "56.7 G", "8.19 k": four digits and an SI prefix. */
sp_word sp_word_si(double x);
/* "1.234 ms", "56.7 us", "0.12 ns" */
sp_word sp_word_short(double seconds);
/* "1.234 mJ" */
sp_word sp_word_joules(double joules);
/* "16", "4.125", "8.002": at most four digits. */
sp_word sp_word_bits(double bits);
const char *sp_bound_word(sp_bound bound);
/* "Prefill of 2,048 tokens", "Decode of 1 token behind 2,048" */
void sp_phase_words(const sp_analysis_question *question, sp_phase phase, struct sp_text *out);
/* The question in a sentence. */
void sp_analysis_words(const sp_analysis_question *question, struct sp_text *out);
