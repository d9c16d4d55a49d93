// Tells people a month before a key or secret of a vault ends, and when one has ended. Key Vault raises the event, Event
// Grid makes an alert of it.

@description('Required. The region of the vault.')
param location string

@description('Required. The vault.')
param vaultName string

@description('Required. Whom it is told to.')
param peopleId string

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags.')
param tags object

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: '${vaultName}-events'
  location: location
  tags: tags
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource expiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'expiry'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.KeyNearExpiry'
        'Microsoft.KeyVault.KeyExpired'
        'Microsoft.KeyVault.SecretNearExpiry'
        'Microsoft.KeyVault.SecretExpired'
      ]
    }
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev2'
        description: 'A key or secret of Assay ends within a month, or has ended. Keys make their next version by themselves: see that it is there. A secret is set anew by hand (infra/README.md).'
        actionGroups: [peopleId]
      }
    }
  }
}

// An event that reached nobody is told here.
#disable-next-line use-recent-api-versions
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: topic
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'DeliveryFailures', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
