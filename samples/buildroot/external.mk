# SPDX-License-Identifier: MIT
include $(sort $(wildcard $(BR2_EXTERNAL_VITQC_PATH)/package/*/*.mk))
