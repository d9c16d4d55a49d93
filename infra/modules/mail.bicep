// Azure Communication Services: mails to approvers and owners, from a domain that Azure manages, or from one of the
// provider's own once it is verified. The app sends as itself, by a role on this resource; keys are off.

@description('Required. The name of the resource; the mail service is named after it.')
param name string

@description('Required. Where mails are kept while they are sent.')
param dataLocation string

@description('Required. A domain of the provider\'s own, verified at this mail service; empty: there is none.')
param ownDomain string

@description('Required. The name of the app\'s identity, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags.')
param tags object

resource service 'Microsoft.Communication/emailServices@2025-09-01' = {
  name: '${name}-mail'
  location: 'global'
  tags: tags
  properties: { dataLocation: dataLocation }
}

resource domain 'Microsoft.Communication/emailServices/domains@2025-09-01' = {
  parent: service
  name: 'AzureManagedDomain'
  location: 'global'
  tags: tags
  properties: { domainManagement: 'AzureManaged', userEngagementTracking: 'Disabled' }
}

resource own 'Microsoft.Communication/emailServices/domains@2025-09-01' existing = {
  parent: service
  name: empty(ownDomain) ? 'none' : ownDomain
}

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
    linkedDomains: empty(ownDomain) ? [domain.id] : [domain.id, own.id]
  }
}

// The built-in role for this may also delete the resource and read its keys; sending needs three actions, and Azure has no
// narrower ones: with Write this identity could also change the resource, whose keys the template turns off again.
resource senderRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(communication.id, 'sender')
  properties: {
    roleName: 'Assay mail ${name}'
    description: 'Sends mails. Reads no keys and deletes nothing; Azure asks for Write on the resource to send.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: [
          'Microsoft.Communication/CommunicationServices/Read'
          'Microsoft.Communication/CommunicationServices/Write'
          'Microsoft.Communication/EmailServices/Write'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource senderRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, identityName, 'sender')
  scope: communication
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: senderRole.id
  }
}

#disable-next-line use-recent-api-versions
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: communication
  properties: {
    workspaceId: workspaceId
    // That mails went, not to whom: the delivery page knows that.
    logs: [{ category: 'EmailSendMailOperational', enabled: true }]
    metrics: [{ category: 'Traffic', enabled: true }]
  }
}

@description('The address at which mails are handed over.')
output endpoint string = 'https://${communication.properties.hostName}'

@description('Whom mails are from.')
output from string = 'DoNotReply@${domain.properties.fromSenderDomain}'
