// The subcommands of `convoy`, one file each, in one explicit table (command_table.cpp).
#pragma once

#include "apps/settings.h"

namespace convoy {

// Each returns the exit code; errors are thrown.
int run_train(const GivenOptions& given);
int run_compare(const GivenOptions& given);
int run_find_lr(const GivenOptions& given);
int run_eval(const GivenOptions& given);
int run_predict(const GivenOptions& given);
int run_report(const GivenOptions& given);
int run_runs(const GivenOptions& given);
int run_summary(const GivenOptions& given);
int run_export(const GivenOptions& given);
int run_import(const GivenOptions& given);
int run_info(const GivenOptions& given);
int run_completion(const GivenOptions& given);
int run_manual(const GivenOptions& given);
int run_data_fetch(const GivenOptions& given);
int run_data_list(const GivenOptions& given);
int run_data_verify(const GivenOptions& given);
int run_data_show(const GivenOptions& given);
int run_data_convert(const GivenOptions& given);

}  // namespace convoy
